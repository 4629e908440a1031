"""A job on device "cuda", which is the host emulation of tests/cuda_host: the losses are those of the processor."""
import os
import re

import pytest

from lacus import LACUS, script
from test_train import end_coordinator, home, lua_rows, ROWS  # noqa: F401

pytest.importorskip("torch")
EMULATED = os.path.join(os.path.dirname(LACUS), "cuda_host")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("model")
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer, tok.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tok.train_from_iterator([r["q"] for r in ROWS], trainers.BpeTrainer(vocab_size=300, special_tokens=["<bos>", "<eos>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    transformers.PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>").save_pretrained(folder)
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                                                           max_position_embeddings=128, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


def losses(home, model, out, steps=4, batch=2, ranks=1, **env):  # noqa: F811
    text = f"""
local job = llm.finetune{{model = "{model}", train_dataset = {lua_rows(ROWS[:8])}, template = "{{q}} {{a}}", max_length = 32, output_dir = "{out}", ranks = {ranks},
  peft = LoraConfig{{r = 4, lora_alpha = 8, target_modules = {{"q_proj", "v_proj"}}}}, args = {{max_steps = {steps}, per_device_train_batch_size = {batch}, logging_steps = 1, learning_rate = 0.01}}}}
job:wait()
for _, row in ipairs(job.metrics) do if row.loss then print("STEP", row.loss) end end
"""
    return [float(x) for x in re.findall(r"STEP\s+([\d.]+)", script(home, text, **env))]


@pytest.mark.skipif(not os.path.exists(os.path.join(EMULATED, "plugins", "gpu_cuda.so")), reason="the emulated device is not built: make check-cuda-host")
def test_a_job_on_the_emulated_gpu_has_the_losses_of_the_processor(home, model, tmp_path):  # noqa: F811
    cpu = losses(home, model, tmp_path / "cpu", LACUS_DEVICE="cpu")
    end_coordinator(home)
    gpu = losses(home, model, tmp_path / "gpu", LACUS_LIB=EMULATED, LACUS_DEVICE="cuda")
    assert len(cpu) == 4 and len(cpu) == len(gpu)
    assert gpu == pytest.approx(cpu, rel=1e-4)


@pytest.mark.skipif(not os.path.exists(os.path.join(EMULATED, "plugins", "gpu_cuda.so")), reason="the emulated device is not built: make check-cuda-host")
@pytest.mark.parametrize("nccl", [True, False], ids=["nccl", "network"])
def test_two_ranks_on_emulated_gpus_sum_by_nccl_where_it_is(home, model, tmp_path, nccl):  # noqa: F811
    """The emulated plugin is a stand-in for NCCL, too. Without one, gradients go through the host's memory and over the ring."""
    one = losses(home, model, tmp_path / "one", LACUS_DEVICE="cpu", steps=3, batch=4)
    end_coordinator(home)
    library = os.path.join(EMULATED, "plugins", "gpu_cuda.so") if nccl else "libno-such-nccl.so.2"
    two = losses(home, model, tmp_path / "two", LACUS_LIB=EMULATED, LACUS_DEVICE="cuda", LACUS_CUDA_HOST_GPUS="2", LACUS_NCCL=library, steps=3, batch=2, ranks=2)
    assert len(one) == 3 and two == pytest.approx(one, rel=1e-4)
    log = "".join(p.read_text() for p in home.glob("**/worker*.log"))
    assert ("gradients are summed by NCCL 2.27.3 between 2 GPUs" if nccl else "through the host's memory: rank 0 has no NCCL") in log
