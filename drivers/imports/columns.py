"""Which column of a table is which, by the words engineers and vendors write above them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum


class Column(StrEnum):
    """What a column of a tag list holds."""

    NAME = "name"
    ADDRESS = "address"
    TYPE = "type"
    UNIT = "unit"
    SCALE = "scale"
    OFFSET = "offset"
    DESCRIPTION = "description"
    ACCESS = "access"
    LENGTH = "length"
    REGISTERS = "registers"
    TABLE = "table"
    BIT = "bit"
    WORD_ORDER = "word order"
    SAMPLING = "sampling"
    SCAN_RATE = "scan rate"
    """Milliseconds, as Kepware writes it."""
    SCALING = "scaling"
    RAW_LOW = "raw low"
    RAW_HIGH = "raw high"
    SCALED_LOW = "scaled low"
    SCALED_HIGH = "scaled high"
    NEGATE = "negate"
    PLC_TAG = "PLC tag"
    """The symbol in the PLC that an HMI tag of TIA shows."""
    WRITEABLE = "writeable"
    ACCESSIBLE = "accessible"


_WORDS: Mapping[Column, str] = {
    Column.NAME: (
        "name,tag,tagname,variable,variablename,symbol,signal,signalname,parameter,parametername,"
        "point,pointname,"
        "datapoint,item,bezeichnung,variablenname,signalbezeichnung,nom,nombre,"
        "名称,变量名,变量名称,变量,标签,标签名,标签名称,点名,点名称,参数,参数名称,信号,信号名称,"
        "符号,数据名称,寄存器名称"
    ),
    Column.ADDRESS: (
        "address,addr,register,registeraddress,registernumber,modbusaddress,modbusregister,modbusreg,reg,"
        "startaddress,startregister,logicaladdress,plcaddress,node,nodeid,opcuanode,opcuanodeid,"
        "adresse,register"
        "adresse,registernummer,startadresse,direccion,"
        "地址,寄存器,寄存器地址,起始地址,首地址,modbus地址,通讯地址,通信地址,变量地址,节点,节点id,"
        "寄存器编号,寄存器号"
    ),
    Column.TYPE: (
        "type,datatype,format,dataformat,valuetype,datentyp,typ,format des donnees,tipo,"
        "类型,数据类型,变量类型,格式,数据格式,值类型"
    ),
    Column.UNIT: (
        "unit,units,engunits,engunit,engineeringunit,engineeringunits,uom,eu,einheit,unidad,单位,"
        "工程单位,计量单位"
    ),
    Column.SCALE: (
        "scale,scalefactor,factor,multiplier,gain,resolution,skalierung,faktor,multiplikator,auflosung,"
        "系数,倍率,比例,比例系数,缩放,缩放系数,分辨率,乘数,因子"
    ),
    Column.OFFSET: "offset,bias,偏移,偏移量,偏置",
    Column.DESCRIPTION: (
        "description,desc,comment,comments,remark,remarks,note,notes,meaning,kommentar,"
        "beschreibung,bemerkung,"
        "描述,说明,注释,备注,含义,变量描述,解释"
    ),
    Column.ACCESS: (
        "access,accessrights,clientaccess,rw,readwrite,permission,mode,zugriff,attribute,"
        "访问,读写,读写属性,访问权限,权限,读写权限,属性,操作"
    ),
    Column.LENGTH: "length,stringlength,characters,chars,lange,zeichen,字符串长度,字符数",
    Column.REGISTERS: (
        "registers,numberofregisters,noofregisters,registercount,words,wordcount,numberofwords,"
        "anzahlregister,"
        "寄存器数量,寄存器个数,寄存器数,字数"
    ),
    Column.TABLE: (
        "function,functioncode,fc,modbusfunction,registertype,objecttype,table,area,memoryarea,funktionscode,"
        "功能码,寄存器类型,存储区,区域,数据区"
    ),
    Column.BIT: "bit,bitnumber,bitno,bitposition,bitnummer,位,位号,位地址",
    Column.WORD_ORDER: "wordorder,byteorder,endian,endianness,order,wortfolge,字节序,字序,字节顺序,大小端",
    Column.SAMPLING: "sampling,samplings,interval,intervals,采样周期s,采集周期s",
    Column.SCAN_RATE: "scanrate,scanratems,samplingms,acquisitioncycle,采集周期,采样周期,采集周期ms,扫描周期",
    Column.SCALING: "scaling",
    Column.RAW_LOW: "rawlow",
    Column.RAW_HIGH: "rawhigh",
    Column.SCALED_LOW: "scaledlow",
    Column.SCALED_HIGH: "scaledhigh",
    Column.NEGATE: "negatevalue",
    Column.PLC_TAG: "plctag,plc变量",
    Column.WRITEABLE: "hmiwriteable,hmiwritable",
    Column.ACCESSIBLE: "hmiaccessible",
}


def plain(text: str) -> str:
    """A heading without case, accents, signs and what stands in brackets: ``Scale (×)`` → ``scale``."""
    folded = unicodedata.normalize("NFKD", re.sub(r"[(\[（【].*?[)\]）】]", "", text)).casefold()
    return "".join(c for c in folded if c.isalnum())


_MEANING = {plain(word): column for column, words in _WORDS.items() for word in words.split(",")}


def meaning(headings: Sequence[str]) -> dict[int, Column]:
    """The columns that a row of headings names, by position; the first of two equal ones counts."""
    found: dict[int, Column] = {}
    for number, heading in enumerate(headings):
        column = _MEANING.get(plain(heading))
        if column is not None and column not in found.values():
            found[number] = column
    return found


def is_header(found: Mapping[int, Column]) -> bool:
    """Whether a row of headings names enough to read tags by."""
    columns = set(found.values())
    place = {Column.ADDRESS, Column.PLC_TAG} & columns
    return bool(place) and Column.TYPE in columns and len(columns) >= 2


def wanted() -> str:
    """What a list must have, for the message when it does not."""
    examples = "Name, Address, Type, Unit; 名称, 地址, 类型, 单位; Bezeichnung, Adresse, Datentyp, Einheit"
    return f"wanted are at least an address and a type, best a name too, e.g. {examples}"
