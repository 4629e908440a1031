"""Preference optimisation against torch: the losses by the reference's figures, whole runs by a loop written with peft."""
import copy
import ctypes as C
import json
import math

import peft
import pytest
import torch
import torch.nn.functional as F
import transformers

from engine import CTX, Engine
from clib import ROOT

GOLDEN = ROOT / "tests" / "golden"
KINDS = {"sigmoid": 0, "ipo": 1, "hinge": 2}
SHAPE = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=131, hidden_size=48, intermediate_size=80, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, initializer_range=0.1, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)


class Config(C.Structure):
    _fields_ = [("loss", C.c_int), ("beta", C.c_double), ("label_smoothing", C.c_double)]


class Pair(C.Structure):
    _fields_ = [("policy", C.c_double * 2), ("reference", C.c_double * 2), ("tokens", C.c_int64 * 2)]


class Value(C.Structure):
    _fields_ = [("loss", C.c_double), ("slope", C.c_double * 2), ("reward", C.c_double * 2)]


@pytest.mark.parametrize("name, kind", [("dpo", "sigmoid"), ("cdpo", "sigmoid"), ("ipo", "ipo")])
def test_losses_are_those_of_the_reference(name, kind):
    lib = Engine("ref").lib
    lib.preference_loss.restype = Value
    facts = json.loads((GOLDEN / "llama3" / "dpo_distill.json").read_text())
    want, labels = facts[name], {side: torch.tensor(facts["batches"][side][2]) for side in ("chosen", "rejected")}
    config = Config(KINDS[kind], want["beta"], want["label_smoothing"])
    values = []
    for i in range(len(want["policy_chosen"])):
        tokens = [int((labels[side][i, 1:] != -100).sum()) for side in ("chosen", "rejected")]
        pair = Pair((want["policy_chosen"][i], want["policy_rejected"][i]), (want["ref_chosen"][i], want["ref_rejected"][i]), tuple(tokens))
        values.append(lib.preference_loss(C.byref(config), C.byref(pair)))
        assert values[-1].reward[0] == pytest.approx(want["reward_chosen"][i], abs=1e-6)
        assert values[-1].reward[1] == pytest.approx(want["reward_rejected"][i], abs=1e-6)
    assert sum(v.loss for v in values) / len(values) == pytest.approx(want["loss"], rel=2e-6)


def pairs(n=7):
    g = torch.Generator().manual_seed(4)
    for i in range(n):
        prompt = torch.randint(3, 131, (3 + i % 3,), generator=g).tolist()
        for length in (2 + i % 4, 5 - i % 3):
            answer = torch.randint(3, 131, (length,), generator=g).tolist()
            yield prompt + answer, [-100] * len(prompt) + answer


LONGROPE = dict(rope_parameters=dict(rope_type="longrope", rope_theta=1e4, short_factor=[1.0] * 6, long_factor=[2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
                                     original_max_position_embeddings=8))


def logp(m, example, length):
    """Padded, as in a batch: some kinds of RoPE follow its longest row."""
    ids, labels = (torch.tensor([x + [fill] * (length - len(x))]) for x, fill in zip(example, (0, -100)))
    mask = labels[:, 1:] != -100
    out = F.log_softmax(m(input_ids=ids).logits[:, :-1].float(), -1)
    return out.gather(-1, labels[:, 1:].clamp(min=0)[..., None])[..., 0][mask].sum(), int(mask.sum())


def losses_of(policy, reference, batch, kind, beta, eps):
    length = max(len(ids) for pair in batch for ids, _ in pair)
    return [loss_of(policy, reference, pair, length, kind, beta, eps) for pair in batch]


def loss_of(policy, reference, example, length, kind, beta, eps):
    (pc, nc), (pr, nr) = (logp(policy, e, length) for e in example)
    with torch.no_grad():
        (rc, _), (rr, _) = (logp(reference, e, length) for e in example)
    h = (pc - rc) - (pr - rr)
    if kind == "sigmoid":
        return -F.logsigmoid(beta * h) * (1 - eps) - F.logsigmoid(-beta * h) * eps, beta * (pc - rc), beta * (pr - rr)
    if kind == "hinge":
        return torch.relu(1 - beta * h), beta * (pc - rc), beta * (pr - rr)
    return ((pc - rc) / nc - (pr - rr) / nr - 1 / (2 * beta)) ** 2, beta * (pc - rc), beta * (pr - rr)


def torch_run(policy, reference, data, kind, beta, eps, epochs, batch, lr):
    """Hugging Face's order, mean over the pairs of a batch, clipping at 1, AdamW, linear schedule."""
    lib = Engine("ref").lib
    trained = [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0)
    steps = epochs * math.ceil(len(data) / batch)
    history, step = [], 0
    for epoch in range(epochs):
        order = (C.c_int64 * len(data))()
        lib.train_permutation(C.c_uint64(42 + epoch), C.c_int64(len(data)), order)
        for at in range(0, len(data), batch):
            some = losses_of(policy, reference, [data[i] for i in order[at:at + batch]], kind, beta, eps)
            loss = sum(s[0] for s in some) / len(some)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = lr * max(0, (steps - step) / steps)
            optimizer.step()
            optimizer.zero_grad()
            history.append((float(loss), float(norm), float(sum(s[1] for s in some)) / len(some), sum(bool(s[1] > s[2]) for s in some) / len(some)))
            step += 1
    with torch.no_grad():
        final = float(sum(s[0] for at in range(0, len(data), 2) for s in losses_of(policy, reference, data[at:at + 2], kind, beta, eps))) / len(data)
    return history, final


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize("kind, beta, eps, full, rope", [("sigmoid", 0.3, 0.0, False, {}), ("sigmoid", 0.1, 0.2, True, {}), ("ipo", 0.2, 0.0, False, {}),
                                                         ("hinge", 1.0, 0.0, False, {}), ("sigmoid", 0.3, 0.0, False, LONGROPE), ("ipo", 0.2, 0.0, True, LONGROPE)])
def test_a_run_is_that_of_torch(device, kind, beta, eps, full, rope, tmp_path):
    engine = Engine(device)
    m = engine.create(SHAPE | rope)
    engine.call("model_save", CTX, m, str(tmp_path / "base").encode())
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    policy = copy.deepcopy(base)
    if not full:
        engine.lora(m, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], peft_type="LORA", task_type="CAUSAL_LM")
        engine.call("lora_save", CTX, m, str(tmp_path / "start").encode())
        policy = peft.PeftModel.from_pretrained(policy, tmp_path / "start", is_trainable=True)
    flat = list(pairs())
    data = [flat[2 * i:2 * i + 2] for i in range(len(flat) // 2)]
    want, final = torch_run(policy, base, data, kind, beta, eps, 3, 3, 5e-3)
    history = engine.train(m, flat, pairs=True, num_train_epochs=3, per_device_train_batch_size=3, learning_rate=5e-3, logging_steps=1,
                           save_strategy="no", eval_strategy="epoch", per_device_eval_batch_size=2, beta=beta, loss_type=kind, label_smoothing=eps)
    got = [h for h in history if "loss" in h]
    assert len(got) == len(want)
    for ours, (loss, norm, chosen, accuracy) in zip(got, want):
        assert ours["loss"] == pytest.approx(loss, rel=2e-4, abs=1e-4)
        assert ours["grad_norm"] == pytest.approx(norm, rel=1e-3, abs=2e-3)
        assert ours["rewards/chosen"] == pytest.approx(chosen, rel=2e-3, abs=1e-3)
    assert [h["rewards/accuracies"] for h in got][1:] == pytest.approx([w[3] for w in want][1:], abs=1e-9)
    assert [h["eval_loss"] for h in history if "eval_loss" in h][-1] == pytest.approx(final, rel=1e-3, abs=1e-4)
    assert want[0][0] > final


def test_rewards_go_on_after_a_resume(tmp_path):
    """In the middle between two logged lines."""
    engine = Engine("ref")
    args = dict(pairs=True, num_train_epochs=3, per_device_train_batch_size=1, learning_rate=5e-3, logging_steps=2, save_steps=3, output_dir=str(tmp_path / "out"))
    flat = list(pairs())[:6]

    def run(resume):
        m = engine.create(SHAPE)
        engine.lora(m, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], peft_type="LORA", task_type="CAUSAL_LM")
        t, _keep = engine.trainer(m, flat, **args)
        if resume:
            engine.call("trainer_resume", CTX, t, str(tmp_path / "out" / "checkpoint-3").encode())
        engine.call("trainer_run", CTX, t)
        history = json.loads(engine.jansson.json_dumps(C.c_void_p(engine.lib.trainer_history(t)), C.c_size_t(0x8800)))
        engine.lib.trainer_free(t)
        return history

    whole = run(False)
    assert len(whole) == 5 and run(True) == whole
