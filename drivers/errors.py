"""What goes wrong between a driver and its machine: each kind asks for something else to be done."""

from __future__ import annotations

import socket


class DriverError(Exception):
    """Anything that goes wrong between a driver and its machine."""


class ConnectError(DriverError):
    """A machine could not be reached: where, why, and what to try next."""

    def __init__(self, address: str, cause: str, next_step: str) -> None:
        self.address, self.cause, self.next_step = address, cause, next_step
        super().__init__(f"{address}: {cause} — {next_step}")


def unreachable(address: str, error: OSError, timeout: float) -> ConnectError:
    """Why a TCP connection did not come about, in words, with what to check."""
    if isinstance(error, TimeoutError):
        return ConnectError(address, f"no answer within {timeout:g} s", "check address, cable and firewall")
    if isinstance(error, ConnectionRefusedError):
        return ConnectError(address, "connection refused", "check the port, and that the device is running")
    if isinstance(error, socket.gaierror):
        return ConnectError(address, "the host name is not known", "check the name, or use the IP address")
    cause = error.strerror or str(error) or "closed by the device"
    return ConnectError(address, cause, "check address, cable and firewall")


class DeviceLost(DriverError):
    """A connected machine stopped answering. The connection is of no more use; make a new one."""

    def __init__(self, address: str, cause: str) -> None:
        self.address, self.cause = address, cause
        super().__init__(f"{address}: {cause}")


class ReadFailed(DriverError):
    """A request that the machine or its server refused as a whole."""


class WriteRefused(DriverError):
    """A write or call that was not sent: no rule allows it, a limit, a state or a lock forbids it."""


class InUse(WriteRefused):
    """A program that the machine runs, or may run: it is not replaced before that has ended."""


class WriteFailed(DriverError):
    """A write that was sent but did not take effect as asked."""


class WriteUnknown(WriteFailed):
    """A write that may or may not have taken effect; read back or ask a person, never send it again."""
