"""What the machine does while a model trains: sampled beside it, into metrics.jsonl."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import psutil
import torch

from ftlib.errors import UserError

KIND = "hardware"  # of a line of metrics.jsonl; the training's own lines have none


class Hardware:
    """This machine's load, read from the system (psutil) and from an NVIDIA driver where there is one (NVML)."""

    def __init__(self) -> None:
        self._process, self._gpu = psutil.Process(), _NvidiaGpu.find()
        psutil.cpu_percent()  # shares are since the call before
        self._process.cpu_percent()

    def sample(self) -> dict[str, float]:
        """What is used now; shares and busy cores since the sample before.

        Returns:
            `cpu_share` and `memory_share` (0..1, of the whole machine), `process_cores` (cores that this process
            keeps busy), `process_memory_bytes`; with an NVIDIA GPU also `gpu_share` (0..1 of the time something ran),
            `gpu_memory_bytes` (used, by whomever), `gpu_power_watts`, `gpu_temperature_celsius`, each where the
            driver says it, and `gpu_process_bytes` (held by PyTorch).
        """
        found = {
            "cpu_share": psutil.cpu_percent() / 100,
            "memory_share": psutil.virtual_memory().percent / 100,
            "process_cores": self._process.cpu_percent() / 100,
            "process_memory_bytes": self._process.memory_info().rss,
        }
        return found | (self._gpu.sample() if self._gpu else {})


class _NvidiaGpu:
    """The GPU that PyTorch computes on, as NVML sees it."""

    def __init__(self, nvml: Any, handle: Any):
        self._nvml, self._handle = nvml, handle

    @classmethod
    def find(cls) -> _NvidiaGpu | None:
        """None without a GPU, a driver or the package nvidia-ml-py: nothing is to fail for want of a thermometer."""
        if not torch.cuda.is_available() or torch.version.hip is not None:
            return None
        try:
            import pynvml

            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        except (ImportError, AttributeError):
            return None
        except pynvml.NVMLError:
            return None

    def sample(self) -> dict[str, float]:
        nvml, handle = self._nvml, self._handle
        asked = {
            "gpu_share": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
            "gpu_memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
            "gpu_power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "gpu_temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        }
        found = {"gpu_process_bytes": torch.cuda.memory_reserved()}
        for name, ask in asked.items():
            try:
                found[name] = ask()
            except nvml.NVMLError:  # a slice of a GPU or a laptop's does not say everything
                continue
        return found


class Monitor:
    """Samples the hardware in a thread, as long as its `with` block lasts.

    Args:
        write: called with each sample from the thread, as a line for metrics.jsonl without its step.
        every_seconds: between two samples; 0 for none at all.
    """

    def __init__(self, write: Callable[[dict[str, Any]], object], every_seconds: float):
        self._write, self._every_seconds = write, every_seconds
        self._over: threading.Event
        self._thread: threading.Thread | None = None
        self.latest: dict[str, float] = {}  # the last sample, for those who cannot be called from a thread

    def __enter__(self) -> Monitor:
        if self._every_seconds:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._run, name="ftlib-monitor", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        hardware, ended = Hardware(), False  # made here: psutil counts from the same thread's call before
        while not ended:  # the last sample is taken at the end, so that a short training has one
            ended = self._over.wait(self._every_seconds)
            self.latest = {name: round(value, 4) for name, value in hardware.sample().items()}
            with suppress(OSError, UserError):  # a full disk: the training's own next line says so
                self._write({"kind": KIND, "time_unix": round(time.time(), 3)} | self.latest)
