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
    "maintenance.moved": Text("moved: the office hears why", "已移动：原因已上报"),
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
    "order.move": Text("Move it, with a reason", "移动，并说明原因"),
    "order.move-between": Text("When is {title} to begin? {window}", "{title} 何时开始？{window}"),
    "order.window": Text("from {earliest} to {latest}", "{earliest} 至 {latest}"),
    "order.window-over": Text(
        "The latest begin was {latest}: begin it now, or let the supervisor move it.",
        "最晚开始时间 {latest} 已过：请立即开始，或由主管移动。",
    ),
    "order.window-open": Text("from {earliest} on", "{earliest} 起"),
    "order.move-early": Text("As early as it can be: {when}", "尽早：{when}"),
    "order.move-late": Text("As late as it may be: {when}", "最晚：{when}"),
    "order.move-other": Text("At another time", "其他时间"),
    "order.move-hint": Text(
        "14:30 is the next such time; {day} 14:30 or 11-27 14:30 a day",
        "14:30 为最近的该时刻；{day} 14:30 或 11-27 14:30 为某日",
    ),
    "order.move-why": Text("Why is {title} to begin at {when}?", "为何在 {when} 开始 {title}？"),
    "order.declined": Text(
        "✕ {machine}: maintenance could not be moved: {title} (F10)",
        "✕ {machine}：维护未能移动：{title}（F10）",
    ),
    "order.declined-past": Text(
        "✕ Not moved to {start}: that was past when the office heard of it.",
        "✕ 未移至 {start}：办公室收到时该时间已过。",
    ),
    "order.declined-parts": Text(
        "✕ Not moved to {start}: its parts are there at {limit} only.",
        "✕ 未移至 {start}：备件 {limit} 才到。",
    ),
    "order.declined-bound": Text(
        "✕ Not moved to {start}: by what is known now the latest is {limit}.",
        "✕ 未移至 {start}：按目前所知，最晚 {limit}。",
    ),
    "order.report": Text("Say what was found", "填写发现"),
    "order.report-what": Text("What was found at {machine}?", "{machine} 发现了什么？"),
    "order.break-off": Text("Break it off: not repaired", "中断：未修好"),
    "order.break-off-why": Text("Why does it end without the repair?", "为何未修好就结束？"),
    "order.release-hint": Text(
        "When it is repaired: release the lock (F10), then production accepts {machine}.",
        "修好后：解锁（F10），然后由生产接收 {machine}。",
    ),
}
