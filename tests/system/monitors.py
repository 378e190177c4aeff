"""Monitors for system tests: pymodbus servers, which nobody here wrote, with registers that a test can set."""
import asyncio
import threading

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer

from house import PATIENCE, wait_for

TABLES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


class ModbusMonitor:
    """A Modbus TCP server on loopback with units 1..n; set(table, address, values) changes what it answers.  `port` is where it listens."""

    def __init__(self, units=(1,)):
        self.slaves = {
            u: ModbusSlaveContext(zero_mode=True, **{t: ModbusSequentialDataBlock(0, [0] * 200) for t in ("di", "co", "hr", "ir")})
            for u in units}
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    def _run(self):
        asyncio.set_event_loop(self.loop)

        async def serve():
            context = ModbusServerContext(slaves=self.slaves, single=False)
            self.server = ModbusTcpServer(context, address=("127.0.0.1", 0), allow_reuse_address=True)
            task = asyncio.ensure_future(self.server.serve_forever())
            while not self.server.server:
                await asyncio.sleep(0.01)
            self.port = self.server.server.sockets[0].getsockname()[1]
            self.ready.set()
            try:
                await task
            except asyncio.CancelledError:
                pass
        try:
            self.loop.run_until_complete(serve())
        except RuntimeError:
            pass

    def set(self, table, address, values, unit=1):
        self.slaves[unit].setValues(TABLES[table], address, list(values))

    def measures(self, sys, dia, mean, unit=1):
        """A finished cuff measurement: values first, then the counter that makes it new."""
        number = self.slaves[unit].getValues(TABLES["input"], 9, 1)[0]
        self.set("input", 0, [sys, dia, mean], unit)
        self.set("input", 9, [(number + 1) % 65536], unit)

    def stop(self):
        async def down():
            await self.server.shutdown()
        asyncio.run_coroutine_threadsafe(down(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)


def cuff(d, monitor, sys, dia, mean, chairs=("chair-1",)):
    """A measurement that has come to the daemon: of two that followed each other sooner than its polls it would see one."""
    def last():
        values = {c["chair"]: c["values"] for c in d.ctl_json("status")["chairs"]}
        return [values[c].get("nibp_sys", {}).get("time") for c in chairs]
    before = last()
    monitor.measures(sys, dia, mean)
    assert wait_for(lambda: all(a != b for a, b in zip(before, last()))), (sys, d.said())


def raise_pressure(d, monitor, chairs=("chair-1",)):
    """Step by step: a reading 40 mmHg above the median of the last three would be doubted."""
    for _ in range(3):
        cuff(d, monitor, 150, 92, 110, chairs)
    cuff(d, monitor, 184, 101, 127, chairs)


def bp_device(port, **more):
    """A blood-pressure monitor: sys, dia, map, cuff rate, and a counter that says when a reading is new."""
    return {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": port}, "unit": 1, "poll": "200ms",
            "timeout": "5s", "registers": [
                {"metric": "nibp_sys", "table": "input", "address": 0, "type": "u16", "invalid": [0, 65535]},
                {"metric": "nibp_dia", "table": "input", "address": 1, "type": "u16", "invalid": [0, 65535]},
                {"metric": "nibp_map", "table": "input", "address": 2, "type": "u16", "invalid": [0, 65535]}],
            "new_reading": {"table": "input", "address": 9, "type": "u16"}, **more}


def oximeter_device(port, **more):
    return {"id": "oximeter", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": port}, "unit": 1, "poll": "200ms",
            "timeout": "5s", "registers": [
                {"metric": "spo2", "table": "holding", "address": 0, "type": "u16", "invalid": [0, 127]},
                {"metric": "pr", "table": "holding", "address": 1, "type": "u16", "invalid": [0, 511]},
                {"flag": "probe_off", "table": "discrete", "address": 3}], **more}
