"""The Chinese of what is said about maintenance cases."""

from __future__ import annotations

MAINTENANCE: dict[str, str] = {
    # states and steps
    "in-work": "维护中",
    "opened": "已开启",
    "snoozed": "稍后提醒",
    "another bound": "期限更新",
    "moved to a time": "已移至指定时间",
    "kept at its time": "时间已固定",
    "left to the planner": "交由计划安排",
    "order refused": "维护单被拒绝",
    "begun at the machine": "已在机器上开始",
    "broken off": "已中断",
    "found": "发现",
    "judged and closed": "已判定并关闭",
    # buttons and forms
    "keep": "固定",
    "free": "解除固定",
    "move": "移动",
    "refuse": "拒绝",
    "snooze": "稍后提醒",
    "verdict": "判定",
    "it is done": "已完成",
    "keep it at this time": "固定在此时间",
    "let the planner place it": "交由计划安排",
    "remind me later": "稍后提醒我",
    "move it to a time": "移至指定时间",
    "refuse the order": "拒绝维护单",
    "say what came of it": "填写结论",
    "every plan keeps it at this time": "每版计划都保持此时间",
    "the planner places it again": "计划将重新安排",
    "Remind me later": "稍后提醒我",
    "Move the maintenance": "移动维护",
    "Refuse the maintenance order": "拒绝维护单",
    "What came of it": "结论",
    "nobody is reminded until then": "在此之前不再提醒",
    "refused: the suspicion stays": "已拒绝：疑点保留",
    "closed, with its verdict": "已关闭，结论已记录",
    "say whether the suspicion was true": "请说明疑点是否属实",
    "say when it is to begin": "请填写开始时间",
    "ok": "确定",
    "cancel": "取消",
    "Verdict": "判定",
    "Cause": "原因",
    "As found": "现场情况",
    "it was true": "属实",
    "false alarm": "误报",
    "something else": "其他",
    # the sheet
    "Share": "占比",
    "remaining life: beyond what can be foreseen": "剩余寿命：超出可预见范围",
    "remaining life: {lower} to {upper} operating hours, most likely {median}: {first} to {last}": (
        "剩余寿命：{lower} 至 {upper} 工作小时，最可能 {median}：{first} 至 {last}"
    ),
    "green: normal · ●: now, in spreads off normal": "绿色：正常 · ●：当前，偏离正常的倍数",
    "☾ nobody is reminded before {until}": "☾ {until} 之前不再提醒",
    "◇ in work since {since}; it ends at the station (F10)": "◇ 自 {since} 维护中；在工位结束（F10）",
    "a lock in this system never replaces lock-out/tag-out": "本系统的锁定不能代替上锁挂牌",
    "⊘ {state}: {owner}": "⊘ {state}：{owner}",
    "maintenance order: {span}, from {earliest}, before {bound}": (
        "维护单：{span}，{earliest} 起，须在 {bound} 前完成"
    ),
    "bound: lower end of the remaining life, less a margin": "期限：剩余寿命下限减去余量",
    "bound: from the trend of its health, less a margin": "期限：由健康趋势减去余量",
    "bound: the span of the site file, as nothing foretells it better": "期限：现场文件的时限（暂无预测）",
    "▲ the parts come too late for the bound: get them sooner, or watch the machine": (
        "▲ 备件晚于期限：请提前取得，或密切观察机器"
    ),
    "⚲ kept from {start} to {end}, because a person said so": "⚲ 由人固定在 {start} 至 {end}",
    "in the plan from {start} to {end}": "计划中 {start} 至 {end}",
    "▲ it ends {past} past its bound": "▲ 超过期限 {past}",
    "the machine stands at no workcell: nothing in the plan waits for it": "机器不在任何工位：计划无需等待",
    "▲ the plan has no room for it yet: move it to a time, or move other work": (
        "▲ 计划中尚无空档：请移至指定时间，或移动其他任务"
    ),
    "other work": "其他任务",
    "it begins as soon as the plan does": "计划一开始即进行",
    "it begins when the parts are there": "备件到达后开始",
    "it follows {other}, which the machine does until then": "在 {other} 之后，机器此前加工该任务",
    "it follows another maintenance of the machine": "在该机器的另一次维护之后",
    "the machine is not there before: {other}": "此前机器不可用：{other}",
    "it could begin {earlier} earlier, but {other} would lose more by that": (
        "可提前 {earlier}，但会使 {other} 损失更大"
    ),
    "verdict: {verdict} ({actor}, {when})": "判定：{verdict}（{actor}，{when}）",
    "? what came of it: was the suspicion true? The verdict is what later alarms learn from": (
        "? 结论如何：疑点是否属实？以后的报警将由此学习"
    ),
    "cause: {cause}": "原因：{cause}",
    "as found: {found}": "现场情况：{found}",
    "What is to be done": "作业内容",
    "Step": "步骤",
    "needs": "需要",
    "part": "备件",
    "the site file has no instruction for it": "现场文件没有作业指导",
    "Journal": "日志",
    "nothing yet": "暂无",
    # risk
    "How often alarms were true": "报警属实率",
    "Month": "月份",
    "Cases": "案例",
    "True": "属实",
    "False alarms": "误报",
    "Something else": "其他",
    "True among those judged": "已判定中属实",
    "no case was opened yet": "尚无案例",
    # needs and plan
    "past its bound: do it, or say why not": "已过期限：请执行，或说明原因",
    "its time has come, and nobody has begun": "时间已到，尚未开始",
    "the plan has no room for it before its bound": "期限前计划中没有空档",
    "⚲ a person said when": "⚲ 由人指定时间",
    "to be done before {time}": "须在 {time} 前完成",
    # events
    "maintenance of {device} begun": "{device} 的维护已开始",
    "found at {device}: {found}": "{device} 发现：{found}",
    "maintenance of {device} broken off: {reason}": "{device} 的维护已中断：{reason}",
    "maintenance of {device} done": "{device} 的维护已完成",
    "maintenance of {device} refused: {reason}": "{device} 的维护被拒绝：{reason}",
    "maintenance of {device} kept at its time": "{device} 的维护时间已固定",
}
