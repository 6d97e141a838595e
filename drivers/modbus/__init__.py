"""Modbus: the driver, its bus, planning, codec and simulator."""
