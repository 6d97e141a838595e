"""Every word the terminal shows, in English and Chinese.

Refusals have their own table in `edge.station.refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from edge.station.quantities import PIECE
from edge.station.refusals import STATE_WORDS, Parameter, in_language
from edge.station.station_view import Shape
from edge.terminal.maintenance_words import MAINTENANCE_WORDS
from protocols.jobs import Text
from protocols.values import MICROSECONDS

SHAPES: dict[Shape, tuple[str, Text]] = {
    Shape.RUNNING: ("●", Text("running", "运行")),
    Shape.SETUP: ("◐", Text("setup", "调机")),
    Shape.STOPPED: ("■", Text("stopped", "停止")),
    Shape.FAULT: ("▲", Text("fault", "故障")),
    Shape.IDLE: ("○", Text("idle", "空闲")),
    Shape.NO_DATA: ("✕", Text("no data", "无数据")),
}
"""State is never a colour alone: a shape and a word for each."""

UNITS = {
    "C62": Text("pieces", "件"),
    "MMT": Text("mm", "mm"),
    "CMT": Text("cm", "cm"),
    "MTR": Text("m", "m"),
    "MTK": Text("m²", "m²"),
    "4H": Text("µm", "µm"),
    "KGM": Text("kg", "kg"),
    "GRM": Text("g", "g"),
    "NU": Text("N·m", "N·m"),
    "NEW": Text("N", "N"),
    "BAR": Text("bar", "bar"),
    "CEL": Text("°C", "°C"),
    "DD": Text("°", "°"),
    "P1": Text("%", "%"),
    "SEC": Text("s", "秒"),
    "MIN": Text("min", "分"),
    "LTR": Text("l", "升"),
    "MGM": Text("mg", "mg"),
    "VLT": Text("V", "V"),
    "AMP": Text("A", "A"),
    "OHM": Text("Ω", "Ω"),
}
"""Rec 20 codes as people read them; a unit that is not here is shown as it was given."""

WORDS: dict[str, Text] = {
    # keys
    "key.queue": Text("queue", "队列"),
    "key.back": Text("back", "返回"),
    "key.done": Text("done +1", "完成 +1"),
    "key.confirm": Text("confirm", "确认"),
    "key.measure": Text("measure", "测量"),
    "key.scan": Text("scan", "扫描"),
    "key.setup": Text("set up", "调机"),
    "key.first": Text("1st piece", "首件放行"),
    "key.complete": Text("complete", "完工"),
    "key.start": Text("start", "开始"),
    "key.pause": Text("pause", "暂停"),
    "key.resume": Text("resume", "继续"),
    "key.scrap": Text("scrap", "报废"),
    "key.put-back": Text("put back", "放回"),
    "key.reason": Text("reason", "停机原因"),
    "key.help": Text("help!", "呼叫!"),
    "key.undo": Text("undo", "撤销"),
    "key.note": Text("note", "交班"),
    "key.big": Text("big", "大字"),
    "key.language": Text("中文", "English"),
    "key.ok": Text("OK", "确定"),
    # top line
    "link.synced": Text("↑ synced {age}", "↑ 已同步 {age}"),
    "link.online": Text("↑ online", "↑ 在线"),
    "link.sending": Text("↑ sending {count}", "↑ 发送中 {count}"),
    "link.offline": Text("✕ offline {age} · {count} waiting", "✕ 离线 {age} · 待传 {count}"),
    "link.never": Text("✕ offline · {count} waiting", "✕ 离线 · 待传 {count}"),
    "link.cloud": Text("◌ cloud stopped {age} · {count} waiting", "◌ 云端停止 {age} · 待传 {count}"),
    "link.edge-short": Text("✕ edge {age}", "✕ 边缘 {age}"),
    "link.edge": Text("✕ edge not answering {age}", "✕ 边缘程序无应答 {age}"),
    "link.connecting": Text("◌ connecting", "◌ 连接中"),
    "andon.none": Text("⚑ andon none", "⚑ 无呼叫"),
    "andon.open": Text("⚑ ANDON {topics}", "⚑ 呼叫 {topics}"),
    # work
    "order": Text("order {order} / {line}", "订单 {order} / {line}"),
    "due": Text("due {when}", "交期 {when}"),
    "pieces": Text("{quantity} {unit}", "{quantity} {unit}"),
    "done": Text("done {count}", "完成 {count}"),
    "scrap": Text("scrap {count}", "报废 {count}"),
    "rework": Text("rework {count}", "返工 {count}"),
    "counter": Text("machine counted {count}", "机器计数 {count}"),
    "counter.more": Text(
        "machine counted {count}: {difference} not booked", "机器计数 {count}：{difference} 未报工"
    ),
    "counter.less": Text(
        "machine counted {count}: {difference} booked too many", "机器计数 {count}：多报 {difference}"
    ),
    "part": Text("part {number} of {count} in this run  ←/→", "本次运行 {number} / {count}  ←/→"),
    "step": Text("Step {number} of {count}", "第 {number} / {count} 步"),
    "steps.done": Text("All steps done", "步骤全部完成"),
    "steps.none": Text("No steps: work to the drawing", "无步骤：按图加工"),
    "step.scan": Text("scan", "扫描"),
    "step.scan-code": Text("scan {expected}", "扫描 {expected}"),
    "step.confirm": Text("confirm with F3", "按 F3 确认"),
    "step.above": Text("too large: measure again or scrap (F6)", "偏大：重测或报废（F6）"),
    "step.below": Text("too small: measure again or scrap (F6)", "偏小：重测或报废（F6）"),
    "step.outside": Text("outside limits", "超差"),
    "step.due": Text("measure again: piece {piece}", "请再测：第 {piece} 件"),
    "chart.note": Text(
        "▲ {title} {value}: {why}. Look at the process.", "▲ {title} {value}：{why}。请检查过程。"
    ),
    "chart.hold": Text(
        "■ HOLD {title} {value}: {why}. What follows waits for the supervisor.",
        "■ 扣留 {title} {value}：{why}。后续工序等待主管处理。",
    ),
    "chart.notice": Text("▲ {what}. Look at the process.", "▲ {what}。请检查过程。"),
    "program": Text("program {program}", "程序 {program}"),
    "remake": Text("REMAKE of {order}", "补做 {order}"),
    "state.run": Text("run", "运行"),
    "now.setup": Text("Set up, then release the first piece", "调机，然后首件放行"),
    "now.first-piece": Text("First piece released: start", "首件已放行：请开始"),
    "now.running": Text("Produce", "生产"),
    "now.all-booked": Text("All pieces booked: complete (F4)", "已全部报工：请完工（F4）"),
    "now.paused": Text("Paused {age}: resume with F5", "已暂停 {age}：按 F5 继续"),
    "now.paused-why": Text(
        "Paused {age} ({reason}): resume with F5",
        "已暂停 {age}（{reason}）：按 F5 继续",
    ),
    "now.next": Text("Next: set up with F4, or start at once with F5", "下一项：F4 调机，或 F5 直接开始"),
    "now.next-run": Text("{count} operations in one run", "{count} 道工序一次运行"),
    "now.waits": Text("Waits for {predecessor} at {workcell}", "等待 {workcell} 的 {predecessor}"),
    "now.fit": Text(
        "Must wait after {predecessor} at {workcell}, until {time}",
        "{workcell} 的 {predecessor} 之后须等待至 {time}",
    ),
    "now.unknown": Text(
        "Offline: {predecessor} at {workcell} not confirmed. Look, then F5",
        "离线：{workcell} 的 {predecessor} 未确认。请查看工件后按 F5",
    ),
    "now.held-here": Text("on hold, measured here: {why}", "已扣留，本机测得：{why}"),
    "lot.released": Text("lot released: the office hears why", "批次已放行：原因已上报"),
    "key.release": Text("release", "放行"),
    "release.question": Text(
        "You are {actor}. What is done with this lot? May decide here: {allowed}.",
        "当前人员 {actor}。此批次如何处理？可在此决定：{allowed}。",
    ),
    "release.use as is": Text("use as is", "让步使用"),
    "release.scrap": Text("scrap: book the pieces as scrap (F6)", "报废：将工件报为废品（F6）"),
    "release.why": Text("{what}: why? It is kept in the journal.", "{what}：原因？将记入日志。"),
    "now.held": Text("on hold, nonconformance {number}: {why}", "已扣留，不合格 {number}：{why}"),
    "now.empty": Text("No work in the queue", "队列为空"),
    "now.empty-more": Text("New work appears here by itself.", "新任务会自动显示在这里。"),
    "now.loading": Text("Looking for the edge at {url} …", "正在连接 {url} …"),
    "note.left": Text("✎ {when} {actor}: {note}", "✎ {when} {actor}：{note}"),
    "unconfirmed": Text("▲ started without confirmation of the predecessor", "▲ 前道未确认即开工"),
    "unassigned": Text(
        "▲ Machine works unbooked: {age}, {parts} parts. Choose the job (F1)",
        "▲ 机器在运行但未报工：{age}，{parts} 件。请选择任务（F1）",
    ),
    "stops.open": Text(
        "■ Stopped {age}: give the reason (F7)  {hint}", "■ 停机 {age}：请填原因（F7）  {hint}"
    ),
    "stops.past": Text("■ {count} stop(s) without a reason: F7", "■ {count} 次停机未填原因：F7"),
    "next": Text("Next: {order} {product}", "下一项：{order} {product}"),
    "next.same": Text("same setup, no changeover", "相同准备，无需换型"),
    "next.change": Text("changeover {what}", "换型 {what}"),
    "next.none": Text("Next: nothing waits", "下一项：无"),
    # what was done
    "last.pending": Text("◌ {what} … waiting for the edge", "◌ {what} … 等待确认"),
    "last.accepted": Text("✓ {what}", "✓ {what}"),
    "last.undo": Text("→ undo with F9 ({seconds} s)", "→ F9 撤销（{seconds} 秒）"),
    "last.refused": Text("✗ refused: {why}", "✗ 已拒绝：{why}"),
    "last.none": Text("Last: –", "上一步：–"),
    "run.opened": Text("work taken in hand", "已接单"),
    "run.first-piece": Text("first piece released", "首件已放行"),
    "run.started": Text("started", "已开始"),
    "run.paused": Text("paused", "已暂停"),
    "run.resumed": Text("resumed", "已继续"),
    "run.booked": Text("good {good} · scrap {scrap}", "合格 {good} · 报废 {scrap}"),
    "run.completed": Text("run completed", "运行已完工"),
    "run.aborted": Text("put back", "已放回"),
    "run.reopened": Text("run reopened", "运行已重新打开"),
    "step.done": Text("step {step}: {value}", "第 {step} 步：{value}"),
    "step.failed": Text("step {step}: {value} is OUTSIDE its limits", "第 {step} 步：{value} 超差"),
    "step.confirmed": Text("step {step} done", "第 {step} 步完成"),
    "stop.reasoned": Text("stop reason {reason}", "停机原因 {reason}"),
    "andon.raised": Text("help called: {topic}", "已呼叫：{topic}"),
    "andon.cleared": Text("andon cleared", "呼叫已解除"),
    "shift.note": Text("note kept", "交班已记录"),
    "lock.set": Text("{device} locked", "{device} 已锁定"),
    "lock.released": Text(
        "lock of {device} released: production accepts it now", "{device} 已解锁：请由生产接收"
    ),
    "lock.accepted": Text("{device} accepted for production", "{device} 已由生产接收"),
    "firmware.accepted": Text(
        "firmware {firmware} of {device} accepted",
        "{device} 固件 {firmware} 已接受",
    ),
    "command.intended": Text(
        "{device}: {target} {value} is on its way", "{device}：{target} {value} 正在发送"
    ),
    "command.settled": Text("settled", "已处理"),
    "command.ended": Text("command to {device} settled", "{device} 的命令已处理"),
    # machines
    "key.machine": Text("machine", "机器"),
    "top.locked": Text("⊘ locked", "⊘ 已锁定"),
    "top.released": Text("⊘ to accept", "⊘ 待接收"),
    "machine.free": Text("{machine}: no lock", "{machine}：未锁定"),
    "machine.life": Text(
        "{life} {unit} left by its model, {lower} to {upper}",
        "模型预计剩余 {life} {unit}（{lower} 至 {upper}）",
    ),
    "machine.life-beyond": Text(
        "more than {lower} {unit} left by its model", "模型预计剩余超过 {lower} {unit}"
    ),
    "machine.life-frozen": Text("frozen: regime unknown", "已冻结：工况未知"),
    "machine.away": Text("✕ {machine} does not answer", "✕ {machine} 无应答"),
    "machine.locked": Text(
        "⊘ {machine} locked by {owner} since {since}: {reason} (F10)",
        "⊘ {machine} 自 {since} 由 {owner} 锁定：{reason}（F10）",
    ),
    "machine.released": Text(
        "⊘ {machine} released by {owner}: accept it for production (F10)",
        "⊘ {machine} 已由 {owner} 解锁：请由生产接收（F10）",
    ),
    "machine.firmware": Text(
        "▲ {machine} runs firmware {firmware}, unknown to its profile: read only (F10)",
        "▲ {machine} 固件 {firmware} 不在配置范围内：只读（F10）",
    ),
    "machine.unknown": Text(
        "▲ {machine}: nobody knows whether a command took effect. Look, then settle it (F10)",
        "▲ {machine}：命令是否生效未知。请查看后处理（F10）",
    ),
    "machine.lock": Text("Lock {machine}", "锁定 {machine}"),
    "machine.lock-why": Text("Why is {machine} locked?", "为何锁定 {machine}？"),
    "machine.no-loto": Text(
        "This keeps programs and people of this system away. It does not make the machine safe: "
        "use lock-out/tag-out.",
        "此锁定仅约束本系统的程序与人员，不能保证机器安全：请执行上锁挂牌。",
    ),
    "machine.release": Text("Release the lock of {machine} ({owner})", "解锁 {machine}（{owner}）"),
    "machine.release-second": Text(
        "{owner} locked it, not {actor}. In the absence of {owner}: badge of a second person",
        "由 {owner} 锁定，并非 {actor}。{owner} 不在时：请第二人刷卡",
    ),
    "machine.accept": Text("Accept {machine} for production", "生产接收 {machine}"),
    "machine.accept-question": Text(
        "{owner} has released {machine}. Is everybody clear, are all tools out, are all guards closed?",
        "{owner} 已解锁 {machine}。人员是否离开、工具是否取出、防护是否关闭？",
    ),
    "machine.accept-firmware": Text(
        "Accept firmware {firmware} of {machine}", "接受 {machine} 固件 {firmware}"
    ),
    "machine.firmware-question": Text(
        "The profile of {machine} was not made for firmware {firmware}. Do its values here agree with the "
        "machine's own display?",
        "{machine} 的配置并非针对固件 {firmware}。此处数值与机器显示一致吗？",
    ),
    "machine.set": Text(
        "{machine}: set {target} from {old} to {new} {unit}?",
        "{machine}：将 {target} 从 {old} 改为 {new} {unit}？",
    ),
    "machine.start": Text(
        "▲ This STARTS {machine} ({target} {new}). Is everybody clear of it?",
        "▲ 这将启动 {machine}（{target} {new}）。所有人都已离开吗？",
    ),
    "machine.reset": Text(
        "▲ This resets a fault of {machine} ({target} {new}). It may move. Is everybody clear of it?",
        "▲ 这将复位 {machine} 的故障（{target} {new}），机器可能动作。所有人都已离开吗？",
    ),
    "machine.resume": Text(
        "▲ This lets {machine} go on ({target} {new}). It moves. Is everybody clear of it?",
        "▲ 这将让 {machine} 继续（{target} {new}），机器会动作。所有人都已离开吗？",
    ),
    "machine.second": Text(
        "Needs two people. Badge of somebody other than {actor}", "需要两人：请 {actor} 以外的人刷卡"
    ),
    "machine.took-effect": Text("{target} {value}: it took effect", "{target} {value}：已生效"),
    "machine.no-effect": Text("{target} {value}: it did not", "{target} {value}：未生效"),
    "program.edited": Text(
        "▲ {machine}: {program} was edited there ({found}): show the engineer (F10)",
        "▲ {machine}：{program} 在机器上被修改（{found}）：请通知工程师（F10）",
    ),
    "program.partial": Text(
        "▲ {machine}: only part of {program} is there: do not run it, send it (F10)",
        "▲ {machine}：{program} 只传送了一部分：请勿运行，请重新发送（F10）",
    ),
    "program.ran": Text(
        "▲ {machine} runs the old {program}: when it ends, send the new one (F10)",
        "▲ {machine} 正在运行旧的 {program}：结束后请发送新版本（F10）",
    ),
    "program.moving": Text("{machine}: {program} is being sent", "{machine}：正在发送 {program}"),
    "program.outdated": Text(
        "{machine}: {program} is an earlier release: send the new one (F10)",
        "{machine}：{program} 是旧的发布版本：请发送新版本（F10）",
    ),
    "program.missing": Text(
        "{machine}: {program} is not there yet: send it (F10)", "{machine}：{program} 尚未传到：请发送（F10）"
    ),
    "program.unreadable": Text(
        "▲ {machine}: {program} cannot be read there: call the engineer. {detail}",
        "▲ {machine}：无法读取 {program}：请联系工程师。{detail}",
    ),
    "program.send": Text("Send the released {program} to {machine}", "将已发布的 {program} 发送到 {machine}"),
    "program.question": Text(
        "Send the released program {program} to {machine}?", "将已发布的程序 {program} 发送到 {machine}？"
    ),
    "program.overwrite-question": Text(
        "Overwrite what was edited at {machine} ({found}) with the released {program}? The edit is lost.",
        "用已发布的 {program} 覆盖 {machine} 上的修改（{found}）？修改将丢失。",
    ),
    "program.look": Text(
        "Nothing shows whether {machine} runs it: look. Does it stand?",
        "无法判断 {machine} 是否在运行它：请查看。机器停止了吗？",
    ),
    "confirm.yes-hint": Text("F4 yes · Esc no", "F4 是 · Esc 否"),
    "state.intended": Text("on its way", "等待发送"),
    "state.sending": Text("being sent", "发送中"),
    "state.done": Text("done", "完成"),
    "state.refused": Text("refused", "已拒绝"),
    "state.failed": Text("failed", "失败"),
    "state.expired": Text("not sent in time", "超时未发送"),
    "state.unknown": Text("unknown", "未知"),
    "undone": Text("taken back", "已撤销"),
    "actor": Text("works here now: {actor}", "当前操作者：{actor}"),
    # other screens
    "queue.title": Text("Queue · {count} waiting", "队列 · {count} 项"),
    "queue.hint-short": Text("↑/↓ choose · Space select", "↑/↓ 选择 · 空格勾选"),
    "queue.hint": Text(
        "↑/↓ choose · Space select · F4 set up · F5 start", "↑/↓ 选择 · 空格勾选 · F4 调机 · F5 开始"
    ),
    "queue.selected": Text("{count} selected of at most {capacity}", "已选 {count}，最多 {capacity}"),
    "queue.ready": Text("○ ready", "○ 就绪"),
    "queue.held": Text("■ on hold", "■ 扣留"),
    "queue.waits": Text("◔ waits", "◔ 等待"),
    "queue.unknown": Text("? offline", "? 离线"),
    "queue.begun": Text("◐ begun", "◐ 已开工"),
    "queue.paused": Text("■ paused", "■ 暂停"),
    "queue.running": Text("● in hand", "● 在手"),
    "complete.title": Text("Complete: good, scrap, rework of each operation", "完工：填写合格、报废与返工"),
    "complete.good": Text("good", "合格"),
    "complete.scrap": Text("scrap", "报废"),
    "complete.rework": Text("rework", "返工"),
    "complete.left": Text("left", "剩余"),
    "complete.machine": Text("The machine counted {count} in this run.", "机器在本次运行中计数 {count}。"),
    "complete.partial": Text(
        "{count} left over: the operation stays in the queue.", "剩余 {count}：工序保留在队列中。"
    ),
    "complete.reason": Text("Scrap reason  ←/→", "报废原因  ←/→"),
    "complete.hint": Text("Tab next field · F4 complete · Esc back", "Tab 下一项 · F4 完工 · Esc 返回"),
    "scrap.title": Text("Scrap: how many, and why?", "报废：数量与原因"),
    "scrap.count": Text("Pieces  ←/→", "数量  ←/→"),
    "choice.hint": Text("Number, then Enter · Esc back", "数字，然后回车 · Esc 返回"),
    "andon.title": Text("Call for help", "呼叫帮助"),
    "andon.clear": Text("clear: {topic} (since {age})", "解除：{topic}（{age} 前）"),
    "andon.call": Text("call: {topic}", "呼叫：{topic}"),
    "stops.title": Text("Why did the machine stop?", "停机原因？"),
    "stops.of": Text(
        "Stop at {when}, {age} {hint}  ({number} of {count})",
        "{when} 停机，{age} {hint}（{number}/{count}）",
    ),
    "stops.free": Text("Type the reason and press Enter", "输入原因后回车"),
    "note.title": Text("Word to the next shift", "交班留言"),
    "note.hint": Text("Type, then Enter · Esc back", "输入后回车 · Esc 返回"),
    "note.none": Text("No notes yet.", "暂无留言。"),
    "confirm.title": Text("Please confirm", "请确认"),
    "confirm.hint": Text("F4 yes, I checked the pieces · Esc no", "F4 是，工件已检查 · Esc 否"),
    "confirm.put-back": Text("Put the work back into the queue?", "将任务放回队列？"),
    "confirm.put-back-hint": Text("F4 yes, put back · Esc no", "F4 是，放回 · Esc 否"),
    # time
    "age.seconds": Text("{n} s", "{n} 秒"),
    "age.minutes": Text("{n} min", "{n} 分"),
    "age.hours": Text("{n} h", "{n} 时"),
    "age.days": Text("{n} d", "{n} 天"),
    "weekdays": Text("Mon Tue Wed Thu Fri Sat Sun", "周一 周二 周三 周四 周五 周六 周日"),
    **MAINTENANCE_WORDS,
}


def say(language: str, key: str, **parameters: Parameter) -> str:
    """The words of ``key``; raises KeyError for a key that is in neither table."""
    template = WORDS.get(key) or STATE_WORDS[key]
    values: Mapping[str, str] = {name: in_language(value, language) for name, value in parameters.items()}
    return in_language(template, language).format_map(values)


def unit_word(language: str, code: str, quantity: Decimal | None = None) -> str:
    """A unit as people read it, beside a quantity."""
    if code == PIECE and quantity == 1:
        return in_language(Text("piece", "件"), language)
    return in_language(UNITS.get(code, code), language)


def age(language: str, since: int, now: int) -> str:
    """How long ago, in the largest unit that says enough."""
    seconds = max(0, now - since) // MICROSECONDS
    for unit, size, below in (
        ("seconds", 1, 90),
        ("minutes", 60, 90 * 60),
        ("hours", 3600, 48 * 3600),
        ("days", 86_400, 10**12),
    ):
        if seconds < below:
            return say(language, f"age.{unit}", n=str(seconds // size))
    return "–"


def clock(ts: int) -> str:
    """Local time of day."""
    return f"{_local(ts):%H:%M}"


def moment(language: str, ts: int, now: int) -> str:
    """A time near ``now``: the time today, with the weekday this week, else the date."""
    when, today = _local(ts), _local(now)
    days = (when.date() - today.date()).days
    if days == 0:
        return f"{when:%H:%M}"
    if 0 < days < 7:
        return f"{say(language, 'weekdays').split()[when.weekday()]} {when:%H:%M}"
    return f"{when:%m-%d %H:%M}"


def _local(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / MICROSECONDS).astimezone()
