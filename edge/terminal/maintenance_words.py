"""The words of maintenance orders, in both languages."""

from __future__ import annotations

from protocols.jobs import Text

MAINTENANCE_WORDS: dict[str, Text] = {
    "maintenance.started": Text("maintenance of {device} begun: it is locked", "{device} 维护开始：已锁定"),
    "maintenance.found": Text("kept what was found", "发现已记录"),
    "maintenance.broken-off": Text(
        "broken off: release the lock of {device} when you leave it", "已中断：离开 {device} 时请解锁"
    ),
    "maintenance.done": Text("maintenance of {device} done", "{device} 维护完成"),
    "maintenance.refused": Text("maintenance refused: the office hears why", "已拒绝维护：原因已上报"),
    "maintenance.kept": Text("kept at its time", "时间已固定"),
    "order.entry": Text("Maintenance: {title} · {when}", "维护：{title} · {when}"),
    "order.entry-begun": Text("Maintenance in work: {title}", "维护进行中：{title}"),
    "order.due": Text("◇ {machine}: maintenance now: {title} (F10)", "◇ {machine}：现在维护：{title}（F10）"),
    "order.soon": Text(
        "◇ {machine}: maintenance at {when}: {title} (F10)", "◇ {machine}：{when} 维护：{title}（F10）"
    ),
    "order.in-work": Text(
        "◇ {machine}: {actor} is at it since {since}: {title} (F10)",
        "◇ {machine}：{actor} 自 {since} 维护：{title}（F10）",
    ),
    "order.planned": Text("planned {start} – {end}", "计划 {start} – {end}"),
    "order.fixed": Text("fixed for {start} – {end}", "已固定 {start} – {end}"),
    "order.no-room": Text("the plan has found no room for it yet", "计划中尚无空档"),
    "order.bound": Text("to be done before {bound}", "须在 {bound} 前完成"),
    "order.why": Text("Why: {why}", "原因：{why}"),
    "order.skills": Text("Needs: {skills}", "需要：{skills}"),
    "order.parts": Text("Parts: {parts}", "备件：{parts}"),
    "order.no-steps": Text("No instruction is written for it.", "没有作业指导。"),
    "order.found": Text("Found: {found}", "发现：{found}"),
    "order.start": Text("Begin: locks {machine} for {actor}", "开始：为 {actor} 锁定 {machine}"),
    "order.start-question": Text(
        "This locks {machine} for {actor}: no run starts and nothing is written to it. It does not make the "
        "machine safe and never replaces lock-out/tag-out: isolate, lock and tag it first. Begin?",
        "将为 {actor} 锁定 {machine}：不再开工、不再写入。这不能保证机器安全，不能代替上锁挂牌："
        "请先断能、上锁、挂牌。开始吗？",
    ),
    "order.keep": Text("Keep it at {start}", "固定在 {start}"),
    "order.refuse": Text("Refuse it, with a reason", "拒绝，并说明原因"),
    "order.refuse-why": Text("Why is {title} not wanted?", "为何不做 {title}？"),
    "order.report": Text("Say what was found", "填写发现"),
    "order.report-what": Text("What was found at {machine}?", "{machine} 发现了什么？"),
    "order.break-off": Text("Break it off: not repaired", "中断：未修好"),
    "order.break-off-why": Text("Why does it end without the repair?", "为何未修好就结束？"),
    "order.release-hint": Text(
        "When it is repaired: release the lock (F10), then production accepts {machine}.",
        "修好后：解锁（F10），然后由生产接收 {machine}。",
    ),
}
