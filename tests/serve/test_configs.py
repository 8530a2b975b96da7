from __future__ import annotations

import pytest
import yaml
from transformers import LlamaConfig

from ftlib.cli import main
from ftlib.serve.configs import ray_config, write_config


def test_vllm_gets_the_adapter_its_gpus_and_this_machine_alone(run_dir, capsys):
    command = ["serve", str(run_dir), "--config", "vllm", "--port", "8123", "--tensor-parallel", "2"]
    assert main([*command, "--margin", "0.5"]) == 0
    folder = run_dir / "served" / "vllm" / "colours"
    flags = yaml.safe_load((folder / "vllm.yaml").read_text())
    assert (flags["tensor-parallel-size"], flags["port"], flags["host"]) == (2, 8123, "127.0.0.1")
    assert flags["enable-lora"] and flags["lora-modules"] == ["colours=."]
    assert (folder / "adapter_model.safetensors").is_file()
    assert f"cd {folder} && vllm serve --config vllm.yaml" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ray_gets_the_merged_model_in_its_own_dtype_and_its_replicas(dtype, tmp_path):
    folder = tmp_path / "a run"
    LlamaConfig(dtype=dtype).save_pretrained(folder)
    sizes = {"port": 8001, "tensor_parallel": 2, "replicas": 3}
    assert write_config("ray", folder, **sizes) == f"serve run '{folder}/ray_serve.yaml'"
    found = yaml.safe_load((folder / "ray_serve.yaml").read_text())
    assert found == ray_config(folder, **sizes) and found["http_options"] == {"host": "127.0.0.1", "port": 8001}
    (model,) = found["applications"][0]["args"]["llm_configs"]
    assert model["model_loading_config"] == {"model_id": "a run", "model_source": str(folder)}
    assert model["engine_kwargs"] == {"tensor_parallel_size": 2, "dtype": dtype}
    assert model["deployment_config"] == {"num_replicas": 3}


def test_ollama_is_started_from_its_modelfile(tmp_path):
    told = write_config("ollama", tmp_path / "mine", port=1, tensor_parallel=1, replicas=1)
    assert told == f"cd {tmp_path}/mine && ollama create mine -f Modelfile && ollama run mine"


@pytest.mark.parametrize("engine", ["tgi", ""])
def test_another_engine_is_not_known(run_dir, engine):
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(run_dir), "--config", engine])
    assert ended.value.code == 2
