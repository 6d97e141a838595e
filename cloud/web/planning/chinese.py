"""What the page says about planning, in Chinese by its English words (:mod:`cloud.web.speech`)."""

from __future__ import annotations

_CAUSES = {
    "order {about} came in": "新订单 {about}",
    "remake job {about}": "补做任务 {about}",
    "rework {about}": "返工 {about}",
    "order {about} is promised anew": "订单 {about} 交期变更",
    "material of {about} comes at another time": "{about} 的材料到货时间变更",
    "work of {about} is no longer to be done": "{about} 的工序已取消",
    "{about} runs on another workcell than planned": "{about} 在计划外的工位运行",
    "{about} was put down before it was finished": "{about} 未完工即放下",
    "{about} went out to another workcell than planned": "{about} 已下发到计划外的工位",
    "{about} was given back and may be moved": "{about} 已退回，可以调整",
    "{about} is down": "{about} 停机",
    "{about} is back": "{about} 恢复",
    "{about} is stuck": "{about} 受困",
    "job {about} is on hold": "作业 {about} 已扣留",
    "job {about} is on hold no more": "作业 {about} 已解除扣留",
    "{about} drives again": "{about} 恢复行驶",
    "overtime {about}": "加班 {about}",
    "planned stop {about}": "计划停机 {about}",
    "fewer heads for {about}": "{about} 人数减少",
    "more heads for {about}": "{about} 人数增加",
    "{about} is pinned": "{about} 已固定",
    "maintenance of {about}": "维护 {about}",
    "{about} takes longer than planned": "{about} 比计划慢",
    "{about} is earlier than planned": "{about} 比计划早",
    "{about} has not begun as planned": "{about} 未按计划开始",
    "a person asked for a new plan": "有人要求重新计划",
    "what was asked came true": "模拟方案已采纳",
    "taken back": "已撤回",
}
_REPLANS = {
    "{time} planned anew in {seconds} s: {why}": "{time} 重新计划（{seconds} 秒）：{why}",
    "no cause kept": "无原因记录",
    "order {order} {time} later": "订单 {order} 推迟 {time}",
    "{count} orders later, worst {order} by {time}": "{count} 个订单推迟，最多 {order} 推迟 {time}",
    "1 order earlier": "1 个订单提前",
    "{count} orders earlier": "{count} 个订单提前",
    "1 operation at another workcell": "1 道工序换工位",
    "{count} operations at another workcell": "{count} 道工序换工位",
    "no order moves": "订单时间不变",
    "planning … {seconds} s": "计划中 … {seconds} 秒",
    "planning … {seconds} s, gap {gap}": "计划中 … {seconds} 秒，差距 {gap}",
    "why it was planned anew, and what that moved": "为何重新计划，影响了什么",
    "Why it was planned anew": "为何重新计划",
    "a plan is made anew when the floor differs from the one in force: the newest is in force": (
        "现场与生效计划不符时重新计划；最新一版为生效计划"
    ),
    "What it changed": "变化",
    "Planning took": "用时",
    "there is no such plan": "没有此计划",
    "Orders that moved": "变动的订单",
    "Operations that moved, what moved most first": "变动的工序，变动大的在前",
    "Before": "之前",
    "Now at": "现在",
    "By": "变化",
    "none is kept one by one: old plans keep numbers only": "未逐项保存：旧计划只保留数字",
    "{later} operations later, {earlier} earlier, {added} new, {dropped} gone": (
        "{later} 道工序推迟，{earlier} 道提前，{added} 道新增，{dropped} 道取消"
    ),
    "planned {time} in {seconds} s": "{time} 计划，用时 {seconds} 秒",
    "same time": "时间不变",
    "→ {time} later": "→ 推迟 {time}",
    "← {time} earlier": "← 提前 {time}",
    "moved by the newest plan": "最新计划有调整",
    "moved by the newest plan: was at {place}, {time}": "最新计划有调整：原在 {place}，{time}",
    "{by} later by the newest plan: was at {time}": "最新计划推迟 {by}：原为 {time}",
    "{by} earlier by the newest plan: was at {time}": "最新计划提前 {by}：原为 {time}",
}
_WAITS = {
    ", then {extra} of changeover": "，随后换型 {extra}",
    ", after {extra} of changeover": "，先换型 {extra}",
    ", with {extra} of transport or waiting after it": "，其后运输或等待 {extra}",
    " (by {extra})": "（早 {extra}）",
    " ({extra})": "（{extra}）",
    ", with {extra} of transport or waiting after them": "，其后运输或等待 {extra}",
    ", with {extra} of transport or waiting in between": "，其间运输或等待 {extra}",
    "{operation} waits until {until} for the first pieces of {other} ({pieces})": (
        "{operation} 等待 {other} 的前 {pieces} 件至 {until}"
    ),
    "{operation} does not begin before {until}: its last pieces ({pieces}) must follow {other}": (
        "{operation} 不早于 {until} 开始：其最后 {pieces} 件须在 {other} 结束之后"
    ),
    "{operation} ends only at {until}, because it rests over {other}": (
        "{operation} 至 {until} 才结束，因为中途停歇：{other}"
    ),
    "{operation} waits until {until} for {other}": "{operation} 等待 {other} 至 {until}",
    "{operation} waits until {until} for {machine}, because {other} runs there": (
        "{operation} 等待 {machine} 至 {until}，因为 {other} 在该处运行"
    ),
    "{operation} waits until {until} for {machine}, because of maintenance {other}": (
        "{operation} 等待 {machine} 至 {until}，因为维护 {other}"
    ),
    "{operation} waits until {until} for {machine}, which is not available: {other}": (
        "{operation} 等待 {machine} 至 {until}，因其不可用：{other}"
    ),
    "{operation} waits until {until} for {resource}, because {other} needs it until then": (
        "{operation} 等待 {resource} 至 {until}，因为 {other} 在此前占用"
    ),
    "{operation} waits until {until}, when there is more of {resource}": (
        "{operation} 等待至 {until}，届时 {resource} 增加"
    ),
    "{operation} waits until {until} for a vehicle that brings what {other} made": (
        "{operation} 等待 AGV 至 {until}，运送 {other} 的产出"
    ),
    "{operation} could begin earlier, but {other} must follow it in time and cannot": (
        "{operation} 可更早开始，但 {other} 须及时跟上而不能"
    ),
    "{operation} is not to begin before {until}: {other} decided so": (
        "{operation} 不得早于 {until} 开始：由 {other} 决定"
    ),
    "{operation} may not begin before {until}": "{operation} 不得早于 {until} 开始",
    "{operation} is held by its station from {until} on": "{operation} 自 {until} 起由其工位持有",
    "{operation} is fixed on {machine}": "{operation} 固定在 {machine}",
    "{operation} begins on {machine} at once": "{operation} 立即在 {machine} 开始",
    "{operation} could begin earlier; the plan leaves it where it is": "{operation} 可更早开始；计划不动它",
    "… and {more} links more": "… 另有 {more} 环",
    "no shift": "无班次",
    "break": "休息",
    "a pause": "停歇",
}
_DECISIONS = {
    "decisions": "决定",
    "Decisions in force": "生效的决定",
    "Decision {name}": "决定 {name}",
    "a decision holds until it is over or revoked; open one to revoke it": (
        "决定在到期或撤销前有效；点开可撤销"
    ),
    "nothing is decided: the planner goes by the site file": "没有决定：按工厂文件计划",
    "Until": "至",
    "By whom": "决定人",
    "Decided": "决定时间",
    "the whole site": "全厂",
    "overtime at {place}": "{place} 加班",
    "{place} is closed": "{place} 停用",
    "{count} more for {skill}": "{skill} 增加 {count} 人",
    "{count} fewer for {skill}": "{skill} 减少 {count} 人",
    "{operation} stays at {place}": "{operation} 固定在 {place}",
    "{operation} keeps its time": "{operation} 固定时间",
    "from {start} until {end}": "自 {start} 至 {end}",
    "from {start}, until it has begun": "自 {start}，直至开始",
    "because: {reason}": "原因：{reason}",
    "decided by {actor}, {time}": "由 {actor} 于 {time} 决定",
    "it is over, or was revoked": "已到期或已撤销",
    "⚲ pinned by {actor}: {what}": "⚲ 由 {actor} 固定：{what}",
    "revoke": "撤销",
    "revoked: it is planned anew": "已撤销：将重新计划",
    "pin": "固定",
    "pin time": "固定时间",
    "pin to this workcell": "固定在此工位",
    "pin to workcell and time": "固定工位与时间",
    "pinned: every plan keeps it there": "已固定：之后的计划不再移动",
    "the plan in force does not have it any more": "当前计划已无此工序",
}

PLANNING: dict[str, str] = {**_CAUSES, **_REPLANS, **_WAITS, **_DECISIONS}
