"""Configurations for engines that are not started from here: vLLM, vLLM behind Ray Serve, Ollama."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import yaml

from ftlib import atomic
from ftlib.serve.guarded import HOST

# What an engine reads: vLLM an adapter on the base; Ray Serve takes adapters only from a cloud's storage, so that its
# replicas each hold the merged model.
TARGETS = {"vllm": "vllm", "ray": "merged", "ollama": "ollama"}
VLLM, RAY = "vllm.yaml", "ray_serve.yaml"


def write_config(engine: str, folder: Path, *, port: int, tensor_parallel: int, replicas: int) -> str:
    """Complete an export for an engine; returns the command that starts it.

    Args:
        engine: a key of `TARGETS`.
        folder: the export for its target.
        port: where it is to listen; Ollama has a port of its own.
        tensor_parallel: GPUs that share one copy of the model.
        replicas: copies behind Ray Serve.
    """
    inside, name = f"cd {shlex.quote(str(folder))}", folder.name
    if engine == "ollama":
        return f"{inside} && ollama create {name} -f Modelfile && ollama run {name}"
    if engine == "vllm":
        flags = yaml.safe_load((folder / VLLM).read_text(encoding="utf-8"))
        flags |= {"port": port, "tensor-parallel-size": tensor_parallel}
        _write(folder / VLLM, flags)
        return f"{inside} && vllm serve --config {VLLM}"
    _write(folder / RAY, ray_config(folder, port=port, tensor_parallel=tensor_parallel, replicas=replicas))
    return f"serve run {shlex.quote(str(folder / RAY))}"


def ray_config(folder: Path, *, port: int, tensor_parallel: int, replicas: int) -> dict:
    """What `serve run` of Ray reads; the arguments are those of `write_config`.

    The model's path is whole, because replicas have working folders of their own: a run that was moved needs it anew.
    """
    dtype = json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"]  # vLLM's "auto" would cut float32
    model = {
        "model_loading_config": {"model_id": folder.name, "model_source": str(folder)},
        "engine_kwargs": {"tensor_parallel_size": tensor_parallel, "dtype": dtype},
        "deployment_config": {"num_replicas": replicas},
    }
    application = {
        "name": folder.name,
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [model]},
    }
    return {"http_options": {"host": HOST, "port": port}, "applications": [application]}


def _write(file: Path, content: dict) -> None:
    atomic.write_text(file, yaml.safe_dump(content, sort_keys=False))
