"""Types by the names that vendors and standards give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from protocols.documents import nearest
from protocols.values import DataType


class Named(NamedTuple):
    """A type, the characters of a string that says so, and what was assumed, if anything."""

    type: DataType
    length: int | None = None
    assumed: str = ""


_NAMES: Mapping[DataType, str] = {
    DataType.BOOL: (
        "bool,boolean,bit,coil,digital,discrete,flag,1bit,x,布尔,布尔型,布尔量,开关量,位,数字量,逻辑"
    ),
    DataType.INT16: (
        "int,int16,i16,s16,short,sint16,signed16,signed,integer16,16bitsigned,signed16bit,signedint16,int16s,"
        "signedword,signedint,整型,整数,短整型,有符号16位,16位有符号,有符号16位整数,16位有符号整数,"
        "16位整数,有符号整数,有符号整型"
    ),
    DataType.UINT16: (
        "uint,uint16,u16,word,ushort,unsigned16,unsigned,unsigned16bit,16bitunsigned,unsignedint,"
        "unsignedint16,"
        "int16u,unsignedword,unsignedshort,enum16,bitfield16,字,无符号整型,无符号整数,无符号16位,16位无符号,"
        "无符号16位整数,16位无符号整数,无符号短整型"
    ),
    DataType.INT32: (
        "dint,int32,i32,s32,long,slong,sint32,signed32,signedlong,32bitsigned,signed32bit,"
        "signedint32,int32s,integer32,"
        "longint,双整型,长整型,双整数,长整数,有符号32位,32位有符号,有符号32位整数,32位有符号整数,"
        "32位整数,有符号双字"
    ),
    DataType.UINT32: (
        "udint,uint32,u32,dword,ulong,unsigned32,unsigned32bit,32bitunsigned,unsignedint32,int32u,"
        "unsignedlong,"
        "enum32,bitfield32,双字,无符号双整型,无符号长整型,无符号32位,32位无符号,无符号32位整数,32位无符号整数"
    ),
    DataType.INT64: (
        "lint,int64,i64,s64,llong,longlong,signed64,64bitsigned,signed64bit,有符号64位,64位有符号,64位整数"
    ),
    DataType.UINT64: (
        "ulint,uint64,u64,lword,qword,ulonglong,unsigned64,64bitunsigned,unsigned64bit,无符号64位,64位无符号"
    ),
    DataType.FLOAT32: (
        "real,float,float32,f32,single,ieee754,float32bit,32bitfloat,floatingpoint,ieeefloat,"
        "floatieee,realieee,"
        "32bitreal,浮点,浮点数,浮点型,单精度,单精度浮点,单精度浮点数,32位浮点,32位浮点数,实数"
    ),
    DataType.FLOAT64: (
        "lreal,double,float64,f64,float64bit,64bitfloat,64bitreal,双精度,双精度浮点,双精度浮点数,"
        "64位浮点,长实数"
    ),
    DataType.STRING: "string,str,text,ascii,wstring,char,utf8,localizedtext,字符串,文本,字符",
}
_KNOWN = {name: kind for kind, names in _NAMES.items() for name in names.split(",")}

_ASSUMED = {
    "16bit": Named(DataType.UINT16, assumed="says nothing of a sign: taken as unsigned"),
    "32bit": Named(DataType.UINT32, assumed="says nothing of a sign: taken as unsigned"),
    "64bit": Named(DataType.UINT64, assumed="says nothing of a sign: taken as unsigned"),
    "16位": Named(DataType.UINT16, assumed="says nothing of a sign: taken as unsigned"),
    "32位": Named(DataType.UINT32, assumed="says nothing of a sign: taken as unsigned"),
    "usint": Named(DataType.UINT16, assumed="has 8 bits: read as uint16"),
    "uint8": Named(DataType.UINT16, assumed="has 8 bits: read as uint16"),
    "byte": Named(DataType.UINT16, assumed="has 8 bits: read as uint16"),
    "字节": Named(DataType.UINT16, assumed="has 8 bits: read as uint16"),
    "sint": Named(DataType.INT16, assumed="has 8 bits: read as int16"),
    "int8": Named(DataType.INT16, assumed="has 8 bits: read as int16"),
    "sbyte": Named(DataType.INT16, assumed="has 8 bits: read as int16"),
    "time": Named(DataType.INT32, assumed="is a duration: read as int32, in milliseconds"),
    "datetime": Named(DataType.STRING, 32, assumed="is read as text (ISO 8601)"),
    "utctime": Named(DataType.STRING, 32, assumed="is read as text (ISO 8601)"),
}
_REFUSED = {
    "bcd": "packed decimals are not read — have the PLC convert them",
    "lbcd": "packed decimals are not read — have the PLC convert them",
    "date": "dates are not read — have the PLC give a number",
    "dt": "dates are not read — have the PLC give a number",
    "dateandtime": "dates are not read — have the PLC give a number",
    "tod": "times of day are not read — have the PLC give a number",
    "timeofday": "times of day are not read — have the PLC give a number",
    "struct": "a structure has no one value — list its members",
    "variant": "has no one type — say which type it is",
    "default": "is no type — give the tag a type in the list",
}


def read_type(text: str) -> Named:
    """``DInt``, ``16-bit signed``, ``FLOAT32``, ``String[20]`` or ``有符号16位`` as one of our types.

    Raises:
        ValueError: no such type, or one that no tag can have (says which it is, and what to do).
    """
    word = re.sub(r"[\s_\-()（）./]+", "", text.casefold())
    if re.match(r"array|.*\[\d+\.\.\d+\]", word):
        raise ValueError("is an array — list its elements, one a line")
    sized = re.fullmatch(r"((?:w|ascii)?string|str|char|字符串)[\[<]?(\d+)[\]>]?", word)
    if sized is not None:
        return Named(DataType.STRING, int(sized[2]))
    if word in _KNOWN:
        return Named(_KNOWN[word])
    if word in _ASSUMED:
        return _ASSUMED[word]
    if word in _REFUSED:
        raise ValueError(_REFUSED[word])
    hint = nearest(word, _KNOWN) if word else None
    known = "e.g. Bool, Int, Word, DInt, DWord, Real, LReal, String[20], uint16, float32"
    raise ValueError(f"is no type known here — {f'did you mean {hint}?' if hint else known}")
