"""The Chinese of what is said about maintenance cases."""

from __future__ import annotations

from protocols.prognostics.deployment import FILE_FIRST, NOBODY_TRUSTED

MAINTENANCE: dict[str, str] = {
    # waveforms
    "Waveform of {path}": "{path} 的波形",
    "signal": "信号",
    "spectrum": "频谱",
    "envelope": "包络",
    "taken at {time} while the machine was {regime}": "采集于 {time}，当时机器状态：{regime}",
    "{count} samples at {rate} Hz, rms {rms} {unit}": "{count} 个采样点，{rate} Hz，有效值 {rms} {unit}",
    "the shaft turns {turns} times a second": "主轴每秒 {turns} 转",
    "the block is damaged: {error}": "数据块已损坏：{error}",
    "the block of {time} lies at the edge, not here": "{time} 的数据块在边缘端，尚未取回",
    "asked: the edge has not answered yet": "已请求：边缘端尚未应答",
    "the edge has it: it is on its way": "边缘端已找到，正在传输",
    "the edge does not have it": "边缘端没有该数据块",
    "it did not come": "未能取回",
    "there is nothing to fetch": "没有可取回的内容",
    "asked: open it again in a moment": "已请求：请稍后再打开",
    "fetch": "取回",
    "fetch the block from its edge": "从边缘端取回数据块",
    # states and steps
    "in-work": "维护中",
    "opened": "已开启",
    "snoozed": "稍后提醒",
    "another bound": "期限更新",
    "parts come at another time": "备件到货时间变更",
    "moved to a time": "已移至指定时间",
    "kept at its time": "时间已固定",
    "could not be moved as the station asked": "未能按工位要求移动",
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
    "say when the parts come": "填写备件到货时间",
    "supply": "备件",
    "When the parts come": "备件到货时间",
    "Parts are there": "备件到货",
    "say when the parts are there": "请填写备件到货时间",
    "it is planned from then on": "计划从该时间起安排",
    "refuse the order": "拒绝维护单",
    "say what came of it": "填写结论",
    "every plan keeps it at this time": "每版计划都保持此时间",
    "the planner places it again": "计划将重新安排",
    "Remind me later": "稍后提醒我",
    "Move the maintenance": "移动维护",
    "Keep it at this time": "固定在此时间",
    "Refuse the maintenance order": "拒绝维护单",
    "What came of it": "结论",
    "nobody is reminded until then": "在此之前不再提醒",
    "refused: the suspicion stays": "已拒绝：疑点保留",
    "closed, with its verdict": "已关闭，结论已记录",
    "say whether the suspicion was true": "请说明疑点是否属实",
    "say when it is to begin": "请填写开始时间",
    "has {length} characters, at most {most} are kept": "有 {length} 个字符，最多保留 {most} 个",
    "must be in the future, and no more than {days} days away": "须为将来时间，且不超过 {days} 天",
    "must be no more than {days} days away": "不得超过 {days} 天",
    "must not be in the past, and no more than {days} days away": "不得早于现在，且不超过 {days} 天",
    "say why: whoever looks at the case next needs it": "请说明原因：供后来查看者参考",
    "nobody has given it a time: the planner places it": "无人指定时间：由计划安排",
    "the plan has found no room for it yet: move it to a time instead": "计划中尚无空档：请改为移至指定时间",
    "is past: it is {limit} now": "该时间已过：现在是 {limit}",
    "the parts are there at {limit}: earlier than that only a supervisor moves it": (
        "备件 {limit} 到：更早只能由主管移动"
    ),
    "the latest begin is {limit}, so that it is done before its bound {bound}: later than that "
    "only a supervisor moves it": "最晚 {limit} 开始，才能在期限 {bound} 前完成：更晚只能由主管移动",
    "◔ parts are missing until {since}: {name}": "◔ 备件 {since} 才到：{name}",
    "▲ {needed} × {name} are needed, the site has {there}": "▲ 需要 {needed} × {name}，现场只有 {there}",
    "▲ {needed} × {name} are not there long enough before the bound: first from {since}": (
        "▲ 期限前没有足够长的时间有 {needed} × {name}：最早 {since} 起"
    ),
    "▲ {needed} × {name} are never there long enough without a break: see the shifts of the site file": (
        "▲ {needed} × {name} 从无足够长的连续时间：请查看现场文件的班次"
    ),
    "▲ not moved to {start}, as the station asked: that was past": "▲ 未按工位要求移至 {start}：该时间已过",
    "▲ not moved to {start}, as the station asked: its parts are there at {limit} only": (
        "▲ 未按工位要求移至 {start}：备件 {limit} 才到"
    ),
    "▲ not moved to {start}, as the station asked: by what is known now the latest is {limit}": (
        "▲ 未按工位要求移至 {start}：按目前所知，最晚 {limit}"
    ),
    "ok": "确定",
    "cancel": "取消",
    "Verdict": "判定",
    "Cause": "原因",
    "As found": "现场情况",
    "it was true": "属实",
    "false alarm": "误报",
    "something else": "其他",
    # the sheet
    "Course since it was learned": "自学习以来的走势",
    "Share": "占比",
    "remaining life: beyond what can be foreseen": "剩余寿命：超出可预见范围",
    "remaining life: at least {lower} operating hours, to {first}": (
        "剩余寿命：至少 {lower} 工作小时，至 {first}"
    ),
    "remaining life: at least {lower} operating hours, to {first}, most likely {median}": (
        "剩余寿命：至少 {lower} 工作小时，至 {first}，最可能 {median}"
    ),
    "later than is looked ahead": "超出可预见时间",
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
    "proposed maintenance order: {span}, from {earliest}, before {bound}": (
        "建议维护单：{span}，{earliest} 起，须在 {bound} 前完成"
    ),
    "bound: lower end of the remaining life, less a margin": "期限：剩余寿命下限减去余量",
    "bound: from how it grows towards its limit, less a margin": "期限：由其向限值的增长减去余量",
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
    "no more of {other} was free before": "此前没有空闲的 {other}",
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
    # models of remaining life
    "Remaining life of the machines": "机器剩余寿命",
    "Remaining life": "剩余寿命",
    "Operating hours": "工作小时",
    "Dates": "日期",
    "no model is in use": "没有正在使用的模型",
    "Models of remaining life": "剩余寿命模型",
    "Model of remaining life": "剩余寿命模型",
    "Model": "模型",
    "Model {name}": "模型 {name}",
    "For": "适用于",
    "Error in validation": "验证误差",
    "Within the interval": "落入区间",
    "Drift": "漂移",
    "more than {lower} {unit}": "超过 {lower} {unit}",
    "{life} {unit}, {lower} to {upper}": "{life} {unit}（{lower} 至 {upper}）",
    "model {model}: {life}": "模型 {model}：{life}",
    "Moves the life by": "对寿命的影响",
    "At its beginning": "初期",
    "What the model goes by, in spreads of the regime": "模型依据（以工况离散度计）",
    "no row has come yet": "尚无数据行",
    "there is no such model": "没有此模型",
    "{state} since {since} · for {scope}": "{since} 起 {state} · 适用于 {scope}",
    "▲ not used: {why}": "▲ 未使用：{why}",
    "trained {when} on {source}: {assets} run-to-failures, {rows} rows": (
        "{when} 由 {source} 训练：{assets} 次运行至失效，{rows} 行"
    ),
    "validated with whole machines left out: error {error} {unit} (RMSE, up to {horizon} {unit}), "
    "{coverage} within the {level} interval, {width} {unit} wide": (
        "按整机留出验证：误差 {error} {unit}（RMSE，上限 {horizon} {unit}），"
        "{coverage} 落入 {level} 区间，宽 {width} {unit}"
    ),
    "a row for every new {counter}": "{counter} 每次变化为一行",
    "a row for every {seconds} s of work": "每工作 {seconds} 秒为一行",
    "signals: {names}": "信号：{names}",
    "SHA-256 {hash}…": "SHA-256 {hash}…",
    "{count} of {wanted} scores in shadow, on average {apart} {unit} from the model in use": (
        "影子评分 {count}/{wanted}，与在用模型平均相差 {apart} {unit}"
    ),
    "no drift found": "未发现漂移",
    "by its model": "由其模型",
    "opened by its model alone: the machine itself still looked well": "仅由其模型开启：机器本身看起来仍正常",
    "At edges": "在边缘端",
    NOBODY_TRUSTED: "此边缘端没有受信任的公钥：请在 edge.yaml 的 life: trusted_keys 下填写公钥（.pub 文件）",
    FILE_FIRST: "edge.yaml 已为该机器指定文件，优先使用：请先在其中删除",
    "Edge": "边缘端",
    "What it says": "情况",
    "no edge has told of it": "尚无边缘端报告",
    "used since {since}": "自 {since} 起使用",
    "used: edge.yaml names it": "使用中：由 edge.yaml 指定",
    "▲ refused, it goes on with {model}: {why}": "▲ 已拒绝，继续使用 {model}：{why}",
    "▲ drift since {since}: {what}": "▲ {since} 起漂移：{what}",
    "brought in": "已导入",
    "put in shadow": "转入影子",
    "taken into use": "投入使用",
    "taken out of use": "停止使用",
    "gone back to": "回退至此",
    "candidate": "候选",
    "shadow": "影子",
    "active": "在用",
    "retired": "已退役",
    "waiting": "等待中",
    "behind": "补算中",
    "frozen": "已冻结",
    "scored": "已评分",
    "samples from before are being worked through": "正在处理先前的样本",
    "the model does not know this regime": "模型不认识当前工况",
    "activate": "启用",
    "roll back": "回退",
    "retire": "停用",
    "try it in shadow": "影子试用",
    "use it": "投入使用",
    "go back to the one before": "回退到上一个",
    "take it out of use": "停止使用",
    "Try it in shadow": "影子试用",
    "Use this model": "使用此模型",
    "Go back to the model before": "回退到上一个模型",
    "Take this model out of use": "停用此模型",
    "it scores beside the model in use": "与在用模型并行评分",
    "its lives are those that count": "以其寿命为准",
    "the model before is in use again": "上一个模型已恢复使用",
    "it is out of use": "已停用",
    "bring in a model": "导入模型",
    "Bring in a model of remaining life": "导入剩余寿命模型",
    "A file that `onelot maintenance train` wrote, at most {most} MiB, signed by a key that is "
    "trusted here. It is a candidate then: nothing is scored with it yet.": (
        "由 `onelot maintenance train` 生成的文件，最大 {most} MiB，须由此处信任的密钥签名。"
        "导入后为候选：尚不用于评分。"
    ),
    "Model file": "模型文件",
    "all of type {name}": "所有 {name}",
    "say what machines it is for": "请说明适用于哪些机器",
    "it is sent and checked …": "正在发送与检查……",
    "{name} is a candidate: error {error} {unit}, {coverage} within the interval": (
        "{name} 已为候选：误差 {error} {unit}，{coverage} 落入区间"
    ),
    "choose a file first": "请先选择文件",
    "the file has {size} MiB, a model has at most {most}": "文件为 {size} MiB，模型最大 {most} MiB",
    "it did not get through: try again": "未能送达：请重试",
    "refused, nothing was taken in: {why}": "已拒绝，未导入：{why}",
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
    "bound {time}": "期限 {time}",
    "to be done before {time}": "须在 {time} 前完成",
    # events
    "maintenance of {device} begun": "{device} 的维护已开始",
    "found at {device}: {found}": "{device} 发现：{found}",
    "maintenance of {device} broken off: {reason}": "{device} 的维护已中断：{reason}",
    "maintenance of {device} done": "{device} 的维护已完成",
    "maintenance of {device} refused: {reason}": "{device} 的维护被拒绝：{reason}",
    "maintenance of {device} kept at its time": "{device} 的维护时间已固定",
    "maintenance of {device} moved: {reason}": "{device} 的维护已移动：{reason}",
}
