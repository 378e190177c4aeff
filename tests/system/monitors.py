"""Monitors for system tests: pymodbus servers, which nobody here wrote, with registers that a test can set."""
import asyncio
import threading

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer

TABLES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


class ModbusMonitor:
    """A Modbus TCP server on loopback with units 1..n; set(table, address, values) changes what it answers."""

    def __init__(self, port, units=(1,)):
        self.port = port
        self.slaves = {
            u: ModbusSlaveContext(zero_mode=True, **{t: ModbusSequentialDataBlock(0, [0] * 200) for t in ("di", "co", "hr", "ir")})
            for u in units}
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)

        async def serve():
            context = ModbusServerContext(slaves=self.slaves, single=False)
            self.server = ModbusTcpServer(context, address=("127.0.0.1", self.port), allow_reuse_address=True)
            task = asyncio.ensure_future(self.server.serve_forever())
            while not self.server.server:
                await asyncio.sleep(0.01)
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

    def stop(self):
        async def down():
            await self.server.shutdown()
        asyncio.run_coroutine_threadsafe(down(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


def bp_device(port, **more):
    """A blood-pressure monitor: sys, dia, map, cuff rate, and a counter that says when a reading is new."""
    return {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": port}, "unit": 1, "poll": "200ms",
            "timeout": "500ms", "registers": [
                {"metric": "nibp_sys", "table": "input", "address": 0, "type": "u16", "invalid": [0, 65535]},
                {"metric": "nibp_dia", "table": "input", "address": 1, "type": "u16", "invalid": [0, 65535]},
                {"metric": "nibp_map", "table": "input", "address": 2, "type": "u16", "invalid": [0, 65535]}],
            "new_reading": {"table": "input", "address": 9, "type": "u16"}, **more}


def oximeter_device(port, **more):
    return {"id": "oximeter", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": port}, "unit": 1, "poll": "200ms",
            "timeout": "500ms", "registers": [
                {"metric": "spo2", "table": "holding", "address": 0, "type": "u16", "invalid": [0, 127]},
                {"metric": "pr", "table": "holding", "address": 1, "type": "u16", "invalid": [0, 511]},
                {"flag": "probe_off", "table": "discrete", "address": 3}], **more}
