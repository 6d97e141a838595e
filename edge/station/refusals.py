"""Why a station refuses: every reason in both languages, with thing, value, limit and next step.

The edge answers with the code, the parameters and the English sentence; a terminal says it in its own
language from the same table.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.jobs import Text
from protocols.lifecycle import IllegalTransitionError

Parameter = str | Text
"""A value in a sentence: the same in both languages, or words that have a translation."""

REFUSALS: dict[str, Text] = {
    "unknown-operation": Text(
        "Operation {operation} is not in the queue of {station}: open the queue (F1) and choose from it.",
        "工序 {operation} 不在 {station} 的队列中：请打开队列（F1）选择。",
    ),
    "operation-ended": Text(
        "{title} is {state} already: choose another operation in the queue (F1).",
        "{title} 已{state}：请在队列（F1）中选择其他工序。",
    ),
    "released": Text(
        "{title} was given back to planning: choose another operation in the queue (F1).",
        "{title} 已退回计划：请在队列（F1）中选择其他工序。",
    ),
    "held": Text(
        "{title} is on hold, nonconformance {number}: {why}. Wait for the supervisor, or call for help (F8).",
        "{title} 已扣留，不合格 {number}：{why}。请等待主管处理，或呼叫帮助（F8）。",
    ),
    "held-here": Text(
        "{title} is on hold: {why}. Wait for the supervisor, or call for help (F8).",
        "{title} 已扣留：{why}。请等待主管处理，或呼叫帮助（F8）。",
    ),
    "not-held": Text(
        "{title} is not on hold for that reason any more: look at the queue (F1).",
        "{title} 已不再因此扣留：请查看队列（F1）。",
    ),
    "release-office": Text(
        "Who may release {title} is decided in the office: call the supervisor (F8).",
        "{title} 的放行由办公室决定：请呼叫主管（F8）。",
    ),
    "release-others": Text(
        "{actor} may not release a lot here, {allowed} may: have one of them scan their badge.",
        "{actor} 无权在此放行，可放行者：{allowed}。请其扫描工牌。",
    ),
    "measure-more": Text(
        "{step}: measured {count} times, {quantity} pieces need {wanted}. Measure (F3) before completing.",
        "{step}：已测 {count} 次，{quantity} 件需测 {wanted} 次。完工前请继续测量（F3）。",
    ),
    "run-in-hand": Text(
        "{station} is working on {title}: pause (F5) or complete (F4) it first.",
        "{station} 正在加工 {title}：请先暂停（F5）或完工（F4）。",
    ),
    "capacity": Text(
        "{count} operations do not fit into one run at {station} (at most {capacity}): deselect some.",
        "{count} 道工序超出 {station} 一次运行的上限（{capacity}）：请取消部分选择。",
    ),
    "mixed-setup": Text(
        "{attribute} differs: {value} and {other} cannot be in one run. Deselect one of them.",
        "{attribute} 不一致：{value} 与 {other} 不能同批。请取消其中之一。",
    ),
    "predecessor-open": Text(
        "{title} waits for {predecessor} at {workcell}: choose another operation, or call for help (F8).",
        "{title} 须等待 {workcell} 的 {predecessor}：请选择其他工序，或呼叫帮助（F8）。",
    ),
    "predecessor-waits": Text(
        "{title} must wait for some time after {predecessor} at {workcell}: choose another operation, "
        "or call for help (F8).",
        "{title} 在 {workcell} 的 {predecessor} 之后须等待一段时间：请选择其他工序，或呼叫帮助（F8）。",
    ),
    "predecessor-unconfirmed": Text(
        "Offline: nobody has confirmed {predecessor} at {workcell} for {title}. "
        "Check the pieces and confirm to start all the same.",
        "离线：{title} 的前道 {predecessor}（{workcell}）未确认。请检查工件，确认后可开工。",
    ),
    "unknown-run": Text(
        "Run {run} is not in hand at {station}: look at the screen again and choose from it.",
        "运行 {run} 不在 {station}：请查看当前画面后重选。",
    ),
    "transition": Text(
        'This is not possible now: {thing} is {state}, "{event}" needs another state '
        "(possible now: {allowed}).",
        "现在不能执行：{thing} 处于 {state}，无法“{event}”（可执行：{allowed}）。",
    ),
    "not-in-run": Text(
        "Operation {operation} is not part of run {run}: choose one of its own.",
        "工序 {operation} 不在运行 {run} 中：请选择该运行的工序。",
    ),
    "quantity-whole": Text(
        "{value} is no whole number of pieces: enter 1, 2, 3 …", "{value} 不是整件数：请输入 1、2、3 …"
    ),
    "quantity-none": Text(
        "Nothing to book: enter good, scrap or rework pieces.", "没有数量：请输入合格、报废或返工数量。"
    ),
    "quantity-over": Text(
        "{value} pieces are more than the {left} left of {quantity}: correct the number.",
        "{value} 件超过剩余 {left}（共 {quantity}）：请更正数量。",
    ),
    "scrap-reason": Text(
        "Scrap needs a reason: choose one of {allowed}.", "报废需要原因：请选择 {allowed}。"
    ),
    "abort-booked": Text(
        "{count} pieces of this run are booked: complete it (F4) instead; what is left stays in the queue.",
        "本次运行已报工 {count} 件：请完工（F4），剩余部分保留在队列中。",
    ),
    "steps-open": Text(
        "{count} step(s) of {title} are open, first: {step}. Do them before completing.",
        "{title} 还有 {count} 步未做，首先：{step}。请先完成。",
    ),
    "step-failed": Text(
        "{step}: {value} is outside {lower} … {upper}. Measure again, or book the piece as scrap (F6).",
        "{step}：{value} 超出 {lower} … {upper}。请重测，或报废（F6）。",
    ),
    "unknown-step": Text(
        "{title} has no step {step} (it has {count}): look at the screen again.",
        "{title} 没有第 {step} 步（共 {count} 步）：请查看当前画面。",
    ),
    "not-a-number": Text(
        '"{value}" is not a number of at most nine digits: measure again and enter digits, such as 24.9.',
        "“{value}”不是数字（最多九位）：请重测并输入数字，如 24.9。",
    ),
    "not-a-choice": Text(
        '"{value}" is none of the entries here: press a number from 1 to {count}, then Enter.',
        "“{value}”不在列表中：请按 1 到 {count} 的数字，再按回车。",
    ),
    "not-a-quantity": Text(
        '"{value}" is no quantity: type digits, the scanner has no use here. {name} is {kept} again.',
        "“{value}”不是数量：此处请键入数字，不要扫描。{name} 恢复为 {kept}。",
    ),
    "wrong-code": Text(
        "Wrong: scanned {value}, {step} needs {expected}. Fetch the right one and scan it.",
        "不符：扫到 {value}，{step} 需要 {expected}。请取正确的再扫。",
    ),
    "unknown-code": Text(
        "Nothing here is called {value}: scan an order of the queue, a material or a tool.",
        "无法识别 {value}：请扫描队列中的订单、物料或刀具。",
    ),
    "unknown-stop": Text(
        "Stop {stop} is not known at {station}: choose one of the open stops (F7).",
        "{station} 没有停机 {stop}：请从未说明的停机中选择（F7）。",
    ),
    "unknown-reason": Text(
        '"{value}" is none of the reasons: choose one of {allowed}.',
        "“{value}”不是有效原因：请选择 {allowed}。",
    ),
    "unknown-andon": Text(
        "Andon call {andon} is not open: nothing to clear.", "呼叫 {andon} 未打开：无需解除。"
    ),
    "andon-open": Text(
        "{topic} is called already: clear it (F8) before calling again.",
        "已呼叫 {topic}：再次呼叫前请先解除（F8）。",
    ),
    "undo-nothing": Text(
        "That cannot be taken back: only the last action can. Book the correction instead.",
        "无法撤销：只能撤销最后一步。请另行更正。",
    ),
    "undo-late": Text(
        "Too late to undo: {seconds} s have passed, the limit is {limit} s. Book the correction instead.",
        "撤销超时：已过 {seconds} 秒，上限 {limit} 秒。请另行更正。",
    ),
    "id-reused": Text(
        "Action id {id} was used for something else: restart the terminal.",
        "动作编号 {id} 已用于其他操作：请重启终端。",
    ),
    "machine-locked": Text(
        "{device} is locked by {owner}: {reason}. {owner} must release it first (F10).",
        "{device} 已被 {owner} 锁定：{reason}。须先由 {owner} 解锁（F10）。",
    ),
    "machine-released": Text(
        "{device} was released by {owner}, production has not taken it over: accept it first (F10).",
        "{device} 已由 {owner} 解锁，尚未由生产接收：请先接收（F10）。",
    ),
    "lock-owner": Text(
        "{device} is locked by {owner}, not by {actor}: let {owner} release it. "
        "In the absence of {owner} two others must confirm together.",
        "{device} 由 {owner} 锁定，并非 {actor}：请由 {owner} 解锁。{owner} 不在时须另外两人共同确认。",
    ),
    "firmware-other": Text(
        "{device} does not run that firmware: {found} waits to be accepted. Look again.",
        "{device} 的固件不符：待接受的是 {found}。请重新查看。",
    ),
    "firmware-pending": Text(
        "{device} runs firmware {found}, which its profile does not know: check its values, then accept it "
        "(F10).",
        "{device} 的固件 {found} 不在配置范围内：请核对数值后接受（F10）。",
    ),
    "not-writable": Text(
        "{target} of {device} cannot be changed from here. What can: {allowed}.",
        "{device} 的 {target} 不可在此更改。可更改：{allowed}。",
    ),
    "not-allowed": Text(
        "{target} of {device}: {detail}. Correct the value.", "{device} 的 {target}：{detail}。请更正数值。"
    ),
    "machine-away": Text(
        "{device} does not answer: nothing was sent. Look at the machine, then try again.",
        "{device} 无应答：未发送任何内容。请查看机器后重试。",
    ),
    "two-people": Text(
        "{target} of {device} needs two people: let somebody other than {actor} confirm it, too.",
        "{device} 的 {target} 需要两人确认：请由 {actor} 以外的人一同确认。",
    ),
    "command-open": Text(
        "{target} of {device} is under way ({state}): wait for it, or settle it (F10).",
        "{device} 的 {target} 正在执行（{state}）：请等待或处理（F10）。",
    ),
    "not-released": Text(
        "{program} is not released for {device}: ask the engineer to release it. Released are: {allowed}.",
        "{program} 未对 {device} 发布：请联系工程师发布。已发布：{allowed}。",
    ),
    "release-other": Text(
        "{program} is released otherwise now ({found}): look at the screen again (F10).",
        "{program} 已有新的发布（{found}）：请查看当前画面（F10）。",
    ),
    "program-edited": Text(
        "{program} was edited at {device} (it holds {found}): let the engineer see the edit, or overwrite it "
        "(F10).",
        "{program} 在 {device} 上被修改过（现为 {found}）：请工程师查看，或覆盖它（F10）。",
    ),
    "program-unreadable": Text(
        "{program} cannot be read at {device} ({detail}), it may have been edited there: call the engineer.",
        "无法读取 {device} 上的 {program}（{detail}），可能已被修改：请联系工程师。",
    ),
    "program-may-run": Text(
        "Nothing shows whether {device} runs {program}: look at the machine, then send it yourself (F10).",
        "无法判断 {device} 是否正在运行 {program}：请查看机器后自行发送（F10）。",
    ),
    "unknown-order": Text(
        "There is no maintenance order {order} at {station} any more: look at the screen again (F10).",
        "{station} 已无维护单 {order}：请查看当前画面（F10）。",
    ),
    "order-begun": Text(
        "The maintenance of {device} was begun by {actor} already: look at the screen again (F10).",
        "{device} 的维护已由 {actor} 开始：请查看当前画面（F10）。",
    ),
    "order-not-begun": Text(
        "{title} has not been begun: begin it first (F10).",
        "{title} 尚未开始：请先开始（F10）。",
    ),
    "order-kept": Text(
        "{title} is kept at its time already: nothing to do.",
        "{title} 的时间已固定：无需操作。",
    ),
    "order-past": Text(
        "{title} cannot begin at {start}, which is past: choose a time from now on.",
        "{title} 不能在 {start} 开始，该时间已过：请选择现在以后的时间。",
    ),
    "order-parts": Text(
        "{title} cannot begin at {start}: its parts are there at {limit}. Choose that time or a later one, "
        "or tell the office when they come.",
        "{title} 不能在 {start} 开始：备件 {limit} 才到。请选择该时间或更晚，或告知办公室备件何时到。",
    ),
    "order-bound": Text(
        "{title} cannot begin at {start}: the latest is {limit}, so that it is done before its bound "
        "{bound}. Choose an earlier time; later than that only the supervisor moves it.",
        "{title} 不能在 {start} 开始：最晚 {limit}，才能在期限 {bound} 前完成。"
        "请选择更早的时间；更晚只能由主管移动。",
    ),
    "not-a-time": Text(
        '"{value}" is no time: type 14:30, or 11-27 14:30 with the date.',
        "“{value}”不是时间：请输入 14:30，或带日期的 11-27 14:30。",
    ),
    "order-not-planned": Text(
        "{title} has no time yet: the plan must find room for it first.",
        "{title} 尚无时间：须先由计划安排。",
    ),
    "unknown-command": Text(
        "Command {command} is not known at {station}: look at the screen again (F10).",
        "{station} 没有命令 {command}：请查看当前画面（F10）。",
    ),
    "command-settled": Text(
        "{target} is {state} already: nothing to settle.", "{target} 已{state}：无需处理。"
    ),
    "not-here": Text(
        "{device} does not stand at {station}: go to the station where it stands.",
        "{device} 不在 {station}：请到其所在工位操作。",
    ),
    "disk-full": Text(
        "The disk of this station is full; nothing was accepted: {detail}. Call the maintainer.",
        "本工位磁盘已满，操作未被接受：{detail}。请联系维护人员。",
    ),
    "edge": Text(
        "The edge did not take it: {detail}. Nothing was accepted; call the maintainer.",
        "边缘程序未接受：{detail}。请联系维护人员。",
    ),
}


class Refusal(ValueError):
    """A command that is not possible; nothing happened. ``code`` is a key of :data:`REFUSALS`."""

    def __init__(self, code: str, **parameters: Parameter) -> None:
        self.code = code
        self.parameters = parameters
        super().__init__(sentence(code, parameters))


def sentence(code: str, parameters: Mapping[str, Parameter], language: str = "en") -> str:
    """The refusal in a language (``en`` or ``zh``); an unknown code is shown as it is."""
    template = REFUSALS.get(code)
    if template is None:
        return code
    words = {name: in_language(value, language) for name, value in parameters.items()}
    return in_language(template, language).format_map(_Shown(words))


def in_language(value: Parameter, language: str) -> str:
    """Words in a language; Chinese that is missing falls back to English."""
    if isinstance(value, str):
        return value
    return (value.zh if language == "zh" else value.en) or value.en


def from_transition(error: IllegalTransitionError) -> Refusal:
    """The refusal that an illegal transition is to the person who asked for it."""
    return Refusal(
        "transition",
        thing=STATE_WORDS.get(error.lifecycle, error.lifecycle),
        state=STATE_WORDS.get(error.state, error.state),
        event=STATE_WORDS.get(error.event, error.event),
        allowed=_listed(error.allowed),
    )


def _listed(events: list[str]) -> Text:
    words = [STATE_WORDS.get(event, Text(event, event)) for event in events] or [Text("nothing", "无")]
    return Text(", ".join(w.en for w in words), "、".join(w.zh for w in words))


class _Shown(dict[str, str]):
    """A parameter that an older or newer edge did not send shows as ``?`` rather than as an error."""

    def __missing__(self, key: str) -> str:
        return "?"


STATE_WORDS: dict[str, Text] = {
    "run": Text("the run", "运行"),
    "operation": Text("the operation", "工序"),
    "andon": Text("the andon call", "呼叫"),
    "lock": Text("the lock", "锁定"),
    "command": Text("the command", "命令"),
    "free": Text("free", "未锁定"),
    "locked": Text("locked", "已锁定"),
    "released": Text("released", "已解锁"),
    "accept": Text("accept", "接收"),
    "queued": Text("queued", "排队"),
    "planned": Text("planned", "已计划"),
    "leased": Text("queued", "排队"),
    "setup": Text("setup", "调机"),
    "first-piece": Text("first piece released", "首件已放行"),
    "running": Text("running", "运行"),
    "paused": Text("paused", "暂停"),
    "completed": Text("completed", "完工"),
    "finished": Text("finished", "完工"),
    "cancelled": Text("cancelled", "取消"),
    "aborted": Text("aborted", "中止"),
    "open": Text("open", "打开"),
    "cleared": Text("cleared", "解除"),
    "start": Text("start", "开始"),
    "pause": Text("pause", "暂停"),
    "resume": Text("resume", "继续"),
    "complete": Text("complete", "完工"),
    "finish": Text("finish", "完工"),
    "abort": Text("abort", "中止"),
    "reopen": Text("reopen", "重新打开"),
    "clear": Text("clear", "解除"),
    "cancel": Text("cancel", "取消"),
    "lease": Text("lease", "分派"),
    "release": Text("release", "退回"),
}
