"""Why an order, a change or a decision is refused, in Chinese by its English words (:mod:`cloud.phrase`)."""

from __future__ import annotations

_VALUES = {
    "{value} is not one of {names}": "{value} 不在允许值中：{names}",
    "{value} is not one of {names} — did you mean {hint}?": "{value} 不在允许值中：{names} — 是否为 {hint}？",
    '"{value}" is not a number: allowed is {allowed}': "“{value}”不是数字：允许 {allowed}",
    "{value} is not a whole number: allowed is {allowed}": "{value} 不是整数：允许 {allowed}",
    "{value} is outside the limits: allowed is {allowed}": "{value} 超出范围：允许 {allowed}",
    "{value} does not fit the step: allowed is {allowed}": "{value} 不符合步长：允许 {allowed}",
    "{value} is not between {least} and {most}": "{value} 不在 {least} 至 {most} 之间",
    "is missing: allowed is {allowed}": "缺少：允许 {allowed}",
    "is missing: {what}": "缺少：{what}",
    "{span} in steps of {step}{unit}": "{span}，步长 {step}{unit}",
    "{span}{unit}": "{span}{unit}",
    "{least} to {most}": "{least} 至 {most}",
    "at least {least}": "至少 {least}",
    "at most {most}": "至多 {most}",
    "any number": "任意数字",
    "unknown parameter: {what}": "未知参数：{what}",
    "is missing": "缺少",
    "is not more than {gt}": "不大于 {gt}",
    "is less than {ge}": "小于 {ge}",
    "is more than {le}": "大于 {le}",
    "has more than {max_length} characters": "超过 {max_length} 个字符",
    "is not a whole number": "不是整数",
    "is not a number": "不是数字",
}
_ORDERS = {
    "an order needs at least one line": "订单至少需要一行",
    'there is already an order "{order}": choose another id': "订单“{order}”已存在：请换一个编号",
    'there is no order "{order}"': "没有订单“{order}”",
    "{quantity} is not more than 0": "{quantity} 不大于 0",
    "{quantity} is more than {most}": "{quantity} 大于 {most}",
    "no product is defined yet": "尚未定义产品",
    "{quantity} is not a whole number: {product} is made in pieces": "{quantity} 非整数：{product} 按件计",
    "{quantity} has more than 6 decimal places": "{quantity} 超过 6 位小数",
    "the product file has no numbers for {product} like this: {formula}": (
        "产品文件无法算出这样的 {product}：{formula}"
    ),
    '{product} needs a workcell of kind "{kind}", and the site has none': (
        "{product} 需要“{kind}”类工位，而工厂没有"
    ),
    '{product} needs {number} of "{name}", the site has {there}': (
        "{product} 需要 {number} 个“{name}”，工厂只有 {there} 个"
    ),
    "{step} of {quantity} takes {minutes} min, and nobody works longer than {longest} without a rest: "
    "split the quantity over several lines": (
        "{step}（{quantity} 件）需 {minutes} 分钟，而连续工作最长 {longest} 分钟：请将数量分为多行"
    ),
    "{time} is in the past (now {now})": "{time} 已过（现在 {now}）",
    "nothing changes: name a due date or a priority": "没有变化：请给出交期或优先级",
    "{order} is {state}: that is not possible now": "{order} {state}：现在不可行",
}
_DECISIONS = {
    "name the workcell": "请给出工位",
    "name the skill": "请给出技能",
    "say how many heads more, or fewer as a negative number": "请填写增加的人数，减少用负数",
    "name the operation": "请给出工序",
    "say from when": "请填写开始时间",
    'does not belong to a decision of kind "{kind}": leave it out': "不属于“{kind}”类决定：请去掉",
    "has {count} characters, at most {most} are kept": "有 {count} 个字符，至多保留 {most} 个",
    "{count} decisions are in force: revoke some first": "已有 {count} 个决定生效：请先撤销一些",
    "{time} is more than {days} days away": "{time} 距今超过 {days} 天",
    "{end} is not after the start {start}": "{end} 不晚于开始时间 {start}",
    "is more than {days} days after the start: change the site file instead": (
        "距开始超过 {days} 天：请改工厂文件"
    ),
    "there is no such workcell: {what}": "没有此工位：{what}",
    "there is no such skill: {what}": "没有此技能：{what}",
    "the site file has no crew": "工厂文件没有人员",
    "{count} are not there to be fewer: {skill} has {most}": "不能减少 {count} 人：{skill} 只有 {most} 人",
    "a pin needs a workcell, a start, or both": "固定需要工位、开始时间或两者",
    'there is no operation "{name}"': "没有工序“{name}”",
    "{name} is {state}: only work that has not begun can be pinned": "{name} {state}：只能固定未开始的工序",
    '{name} needs a workcell of kind "{kind}", and {workcell} is of kind "{other}"': (
        "{name} 需要“{kind}”类工位，而 {workcell} 是“{other}”类"
    ),
    'edge "{edge}" holds {name} for {workcell}: pin it there, or take it back first': (
        "边缘“{edge}”为 {workcell} 持有 {name}：请固定在该处，或先取回"
    ),
    "decision {decision} pins {name} already: revoke that one first": (
        "决定 {decision} 已固定 {name}：请先撤销它"
    ),
}
_QUESTIONS = {
    "{count} questions are being answered, not more than {most} wait: ask again soon": (
        "正在回答 {count} 个询问，至多 {most} 个排队：请稍后再问"
    ),
    "{count} scenarios are searched or wait to be: discard one that is not needed, or wait": (
        "已有 {count} 个方案在搜索或等待：请放弃不需要的，或稍候"
    ),
    'there is no scenario "{scenario}": it was discarded, or nobody looked at it for {minutes} min, or '
    "the service has started since; ask anew": (
        "没有方案“{scenario}”：已放弃，或 {minutes} 分钟无人查看，或服务已重启；请重新询问"
    ),
    "the floor has changed since {scenario} was asked for, so that it is not possible any more: "
    "{reasons}. Nothing was changed: ask anew": (
        "询问 {scenario} 之后现场已变，不再可行：{reasons}。未作任何更改：请重新询问"
    ),
    "{path}: {reason}": "{path}：{reason}",
}

REASONS: dict[str, str] = {**_VALUES, **_ORDERS, **_DECISIONS, **_QUESTIONS}
