"""The Chinese of what is said about accounts."""

from __future__ import annotations

ACCOUNTS: dict[str, str] = {
    "Accounts": "账户",
    "accounts and password": "账户与密码",
    "Role": "角色",
    "viewer": "查看者",
    "operator": "操作员",
    "viewer: looks at everything": "查看者：只能查看",
    "operator: says when a machine is maintained": "操作员：决定机器何时维护",
    "supervisor: orders and decides": "主管：下单与决定",
    "you": "您",
    "new password": "新密码",
    "remove": "删除",
    "remove {name} for good": "永久删除 {name}",
    "New account": "新账户",
    "Name: small letters and digits": "名称：小写字母与数字",
    "add account": "添加账户",
    "Your own password": "您的密码",
    "Password now": "当前密码",
    "Password from now on": "新密码",
    "change it": "更改",
    "somebody removed this account already": "此账户已被删除",
    "a name has 1 to 32 small letters, digits, dots, dashes, underscores": (
        "名称为 1 至 32 个小写字母、数字、点、连字符或下划线"
    ),
    "there is an account {name} already": "账户 {name} 已存在",
    "there are {most} accounts: remove one first": "已有 {most} 个账户：请先删除一个",
    "{name} is the only supervisor: make another one first": "{name} 是唯一的主管：请先添加另一位主管",
    "a password has {least} to {most} characters": "密码须为 {least} 至 {most} 个字符",
    "user or password is wrong": "用户名或密码错误",
    "{name} is {role} now, and logs in anew": "{name} 现为{role}，须重新登录",
    "{name} is removed": "已删除 {name}",
    "password of {name}: {password} — write it down now, it is not shown again": (
        "{name} 的密码：{password} — 请立即记下，不再显示"
    ),
}
