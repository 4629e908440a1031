"""Schedules, optimizers, what ends a run, and what a run says when it breaks: against transformers and torch."""
import ctypes as C
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.optimization import get_scheduler

from clib import LacusError
from engine import CTX, Engine
from test_engine import ARGS, CONFIGS, SHAPE, batch, close, examples, hf_forward, hf_train, same_history


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def start(engine, folder, **changed):
    m = engine.create({**SHAPE, **CONFIGS["llama"], **changed})
    engine.call("model_save", CTX, m, str(folder).encode())
    return m


SCHEDULES = [
    ("linear", {}), ("cosine", {}), ("cosine", dict(num_cycles=1.5)), ("constant", {}), ("constant_with_warmup", {}),
    ("cosine_with_restarts", {}), ("cosine_with_restarts", dict(num_cycles=3)), ("polynomial", {}), ("polynomial", dict(power=2.0, lr_end=1e-4)),
    ("inverse_sqrt", {}), ("inverse_sqrt", dict(timescale=30)), ("cosine_with_min_lr", dict(min_lr_rate=0.1)), ("cosine_with_min_lr", dict(min_lr=2e-4)),
    ("cosine_warmup_with_min_lr", dict(min_lr_rate=0.1)), ("cosine_warmup_with_min_lr", dict(min_lr_rate=0.1, warmup_lr_rate=0.2)),
    ("warmup_stable_decay", dict(num_decay_steps=5)), ("warmup_stable_decay", dict(num_decay_steps=6, num_stable_steps=4, min_lr_ratio=0.1, decay_type="linear", warmup_type="1-sqrt")),
    ("warmup_stable_decay", dict(num_decay_steps=7, decay_type="1-sqrt", warmup_type="cosine")),
]


@pytest.mark.parametrize("name, kwargs", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 4])
def test_rates_are_those_of_transformers(engine, name, kwargs, warmup, tmp_path):
    m = start(engine, tmp_path)
    steps, rate = 20, 3e-3
    p = torch.nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=rate)
    theirs, sched = [], get_scheduler(name, opt, num_warmup_steps=warmup, num_training_steps=steps, scheduler_specific_kwargs=dict(kwargs))
    for _ in range(steps):
        theirs.append(opt.param_groups[0]["lr"])
        opt.step()
        sched.step()
    ours = engine.train(m, examples(4), max_steps=steps, per_device_train_batch_size=4, learning_rate=rate, warmup_steps=warmup, logging_steps=1,
                        lr_scheduler_type=name, lr_scheduler_kwargs=kwargs, save_strategy="no")
    np.testing.assert_allclose([h["learning_rate"] for h in ours if "learning_rate" in h], theirs, atol=1e-15, rtol=1e-12)


@pytest.mark.parametrize("momentum, nesterov", [(0, False), (0.9, False), (0.9, True)])
def test_sgd_is_torchs(engine, momentum, nesterov, tmp_path):
    m = start(engine, tmp_path / "start")
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    from test_engine import collate

    rows = [dict(input_ids=i, attention_mask=[1] * len(i), labels=l) for i, l in examples()]
    args = ARGS | dict(learning_rate=0.1, num_train_epochs=3)
    t = transformers.Trainer(model=hf, args=transformers.TrainingArguments(output_dir=str(tmp_path / "hf"), report_to=[], disable_tqdm=True, use_cpu=True, **args),
                             train_dataset=rows, eval_dataset=rows, data_collator=collate)
    decayed = [p for n, p in hf.named_parameters() if p.ndim == 2]
    rest = [p for n, p in hf.named_parameters() if p.ndim != 2]
    t.optimizer = torch.optim.SGD([dict(params=decayed, weight_decay=0.1), dict(params=rest, weight_decay=0.0)], lr=0.1, momentum=momentum, nesterov=nesterov)
    t.train()
    same_history(engine.train(m, examples(), **args, optim="sgd", optim_args=f"momentum={momentum}, nesterov={nesterov}"), t.state.log_history)


def test_a_resumed_run_with_momentum_is_the_same(engine, tmp_path):
    args = dict(max_steps=8, learning_rate=0.05, per_device_train_batch_size=2, logging_steps=1, optim="sgd", momentum=0.9, save_steps=4,
                eval_strategy="steps", eval_steps=2, lr_scheduler_type="reduce_lr_on_plateau", lr_scheduler_kwargs=dict(patience=0, threshold=0.5), output_dir=str(tmp_path / "out"))
    whole = engine.train(start(engine, tmp_path / "start"), examples(), **args)
    t, _keep = engine.trainer(engine.load(tmp_path / "start"), examples(), **args)
    engine.call("trainer_resume", CTX, t, str(tmp_path / "out" / "checkpoint-4").encode())
    engine.call("trainer_run", CTX, t)
    again = json.loads(engine.jansson.json_dumps(C.c_void_p(engine.lib.trainer_history(t)), C.c_size_t(0x8800)))
    drop = lambda h: [{k: v for k, v in x.items() if "runtime" not in k and "second" not in k} for x in h]
    assert drop(again) == drop(whole)
    engine.lib.trainer_free(t)


def test_the_rate_falls_on_a_plateau(engine, tmp_path):
    rows = [dict(input_ids=i, attention_mask=[1] * len(i), labels=l) for i, l in examples()]
    from test_engine import collate

    args = dict(max_steps=24, learning_rate=0.02, per_device_train_batch_size=2, logging_steps=1, eval_strategy="steps", eval_steps=2, per_device_eval_batch_size=4,
                lr_scheduler_type="reduce_lr_on_plateau", lr_scheduler_kwargs=dict(patience=0, factor=0.3, threshold=0.1, cooldown=1), save_strategy="no", seed=5)
    m = start(engine, tmp_path / "start")
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    t = transformers.Trainer(model=hf, args=transformers.TrainingArguments(output_dir=str(tmp_path / "hf"), report_to=[], disable_tqdm=True, use_cpu=True, **args),
                             train_dataset=rows, eval_dataset=rows, data_collator=collate)
    t.train()
    theirs = [h["loss"] for h in t.state.log_history if "loss" in h]
    ours = engine.train(m, examples(), **args)
    np.testing.assert_allclose([h["loss"] for h in ours if "loss" in h], theirs, atol=2e-3)
    rates = [h["learning_rate"] for h in ours if "learning_rate" in h]
    assert rates[0] == 0.02 and rates[-1] < 0.02
    np.testing.assert_allclose([h["eval_loss"] for h in ours if "eval_loss" in h], [h["eval_loss"] for h in t.state.log_history if "eval_loss" in h], atol=2e-3)


def test_it_stops_early_as_transformers_does(engine, tmp_path):
    rows = [dict(input_ids=i, attention_mask=[1] * len(i), labels=l) for i, l in examples()]
    other = examples(20)[13:]  # of other lengths: overfitting shows
    args = dict(max_steps=60, learning_rate=0.02, per_device_train_batch_size=4, logging_steps=1, eval_strategy="steps", eval_steps=3, per_device_eval_batch_size=4,
                save_strategy="no", seed=5, metric_for_best_model="loss", lr_scheduler_type="constant")
    from test_engine import collate

    m = start(engine, tmp_path / "start")
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    hf_args = dict(args, save_strategy="steps", save_steps=3, load_best_model_at_end=True, greater_is_better=False)
    t = transformers.Trainer(model=hf, args=transformers.TrainingArguments(output_dir=str(tmp_path / "hf"), report_to=[], disable_tqdm=True, use_cpu=True, **hf_args),
                             train_dataset=rows, eval_dataset=rows[:3], data_collator=collate,
                             callbacks=[transformers.EarlyStoppingCallback(early_stopping_patience=2, early_stopping_threshold=0.02)])
    t.train()
    ours = engine.train(m, examples(), eval_examples=examples()[:3], **args, early_stopping_patience=2, early_stopping_threshold=0.02)
    assert t.state.global_step < 60
    assert ours[-1]["step"] == t.state.global_step


def test_token_accuracy(engine, tmp_path):
    m = start(engine, tmp_path / "start")
    ours = engine.train(m, examples(), max_steps=6, per_device_train_batch_size=4, learning_rate=0.01, eval_strategy="steps", eval_steps=6, metric_for_best_model="accuracy")
    engine.call("model_save", CTX, m, str(tmp_path / "end").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "end", dtype=torch.float32).eval()
    right = total = 0
    for ids, labels in examples():
        best = hf(torch.tensor([ids])).logits[0, :-1].argmax(-1)
        want = torch.tensor(labels[1:])
        right += int((best == want)[want != -100].sum())
        total += int((want != -100).sum())
    assert [h["eval_accuracy"] for h in ours if "eval_accuracy" in h] == [pytest.approx(right / total)]


# ---- what breaks -------------------------------------------------------------------------------------------------------

def break_weight(engine, m, name, value):
    class Parameter(C.Structure):
        from engine import Tensor
        _fields_ = [("value", Tensor), ("grad", Tensor), ("trainable", C.c_bool), ("decay", C.c_bool)]

    p = Parameter()
    assert engine.lib.model_find_parameter(m, name.encode(), C.byref(p))
    engine.call("tensor_write", C.byref(p.value), C.c_int64(0), C.c_int64(1), C.byref(C.c_float(value)))


def failure(engine, m, **args):
    t, _keep = engine.trainer(m, examples(), **(dict(per_device_train_batch_size=2, gradient_accumulation_steps=3, max_steps=50, save_strategy="no") | args))
    with pytest.raises(LacusError) as caught:
        engine.call("trainer_run", CTX, t)
    engine.lib.trainer_free(t)
    return str(caught.value), engine.hint


def test_a_weight_that_is_not_finite_is_named(engine, tmp_path):
    m = start(engine, tmp_path)
    break_weight(engine, m, "model.layers.1.mlp.up_proj.weight", math.nan)
    message, hint = failure(engine, m)
    assert "the loss of step 1 is nan: the weight 'model.layers.1.mlp.up_proj.weight' is not finite" in message
    assert "was broken before" in hint


def test_a_teachers_weight_that_is_not_finite_is_named(engine, tmp_path):
    m, teacher = start(engine, tmp_path), engine.load(tmp_path)
    break_weight(engine, teacher, "model.layers.1.mlp.up_proj.weight", math.nan)
    engine.call("model_set_teacher", m, teacher, C.c_double(2), C.c_double(0.5))
    message, hint = failure(engine, m)
    assert "the weight 'model.layers.1.mlp.up_proj.weight' of the teacher is not finite" in message
    with pytest.raises(LacusError, match="'label_smoothing_factor' cannot be used while learning from a teacher"):
        engine.trainer(m, examples(), label_smoothing_factor=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("fields", [dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True), dict(load_in_8bit=True)])
def test_few_bits_have_no_code_for_what_is_no_number(engine, tmp_path, value, fields):
    start(engine, tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.down_proj.weight"][5, 7] = value
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(LacusError, match=rf"'model.layers.1.mlp.down_proj.weight' is {value} at \[5, 7\]: it cannot be kept in"):
        engine.load(tmp_path, fields)


def test_the_op_layer_and_batch_are_named(engine, tmp_path):
    """A weight so large that the product with it is not finite."""
    m = start(engine, tmp_path)
    break_weight(engine, m, "model.layers.1.post_attention_layernorm.weight", 1e5)
    break_weight(engine, m, "model.layers.1.mlp.up_proj.weight", 3e38)
    message, hint = failure(engine, m)
    assert "the output of 'model.layers.1.mlp.up_proj' is the first that is not finite, in micro-batch 1 of 3 (examples " in message
    assert "it is the first step" in hint


def test_a_rate_that_explodes_is_named(engine, tmp_path):
    message, hint = failure(engine, start(engine, tmp_path), learning_rate=1e6, weight_decay=0.1, optim="sgd", lr_scheduler_type="constant")
    assert "is not finite" in message
    assert "learning_rate 1e+06 is too high" in hint, hint


@pytest.mark.parametrize("rate, optim, kind", [(1e6, "adamw_torch", "full"), (1e3, "adamw_torch", "full"), (10.0, "adamw_torch", "full"), (1.0, "adamw_torch", "lora"), (50.0, "sgd", "full")])
def test_a_rate_that_stays_finite_is_named_too(engine, rate, optim, kind, tmp_path):
    """Norms keep the loss of a model finite whose weights fly away."""
    m, warnings = start(engine, tmp_path), []
    if kind == "lora":
        engine.lora(m, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], peft_type="LORA", task_type="CAUSAL_LM")
    args = dict(per_device_train_batch_size=4, max_steps=20, save_strategy="no", lr_scheduler_type="constant", optim=optim)
    history = engine.train(m, examples(), warnings=warnings, learning_rate=rate, logging_steps=1, **args)
    assert all(math.isfinite(h["loss"]) for h in history if "loss" in h)
    assert len(warnings) == 1 and f"is learning_rate {rate:g} too high?" in warnings[0], (warnings, history)


def test_a_rate_that_learns_is_not_warned_of(engine, tmp_path):
    for rate in (0.0, 1e-4, 1e-3, 1e-2):
        warnings = []
        engine.train(start(engine, tmp_path), examples(), warnings=warnings, learning_rate=rate, max_steps=40, per_device_train_batch_size=1, save_strategy="no")
        assert warnings == []


@pytest.mark.parametrize("args, message", [
    (dict(optim="adafactor"), "'optim': 'adafactor' is not supported"),
    (dict(optim="sgd", nesterov=True), "'nesterov' needs a 'momentum'"),
    (dict(lr_scheduler_type="warmup_stable_decay"), "num_decay_steps"),
    (dict(lr_scheduler_type="reduce_lr_on_plateau"), "needs an 'eval_strategy'"),
    (dict(early_stopping_patience=2), "needs an 'eval_strategy'"),
    (dict(lr_scheduler_type="cosin"), "unknown learning-rate schedule 'cosin'"),
    (dict(lr_scheduler_kwargs=dict(pwer=2)), "unknown training argument 'pwer'"),
    (dict(logging_steps=2.5), "'logging_steps' is not a whole number, or a share"),
    (dict(dataloader_drop_last=True, per_device_train_batch_size=200), "'dataloader_drop_last' leaves no batch"),
    (dict(average_tokens_across_devices=False, num_processes=2), "'average_tokens_across_devices' is not supported"),
    (dict(lr_scheduler_kwargs=3), "'lr_scheduler_kwargs' is not a table"),
    (dict(optim_args="momentum 3"), "'optim_args' is not a table"),
    (dict(metric_for_best_model="f1"), "'metric_for_best_model': 'f1' is not supported"),
])
def test_arguments_that_cannot_be(engine, args, message, tmp_path):
    m = start(engine, tmp_path)
    with pytest.raises(LacusError, match=message):
        engine.trainer(m, examples(), **args)


@pytest.mark.parametrize("args", [
    dict(logging_steps=0.3, eval_strategy="steps", eval_steps=0.45, num_train_epochs=4),
    dict(dataloader_drop_last=True, num_train_epochs=3, per_device_train_batch_size=3, gradient_accumulation_steps=2, eval_strategy="epoch"),
    dict(train_sampling_strategy="sequential", average_tokens_across_devices=False, eval_strategy="epoch"),
    dict(label_smoothing_factor=0.2, eval_strategy="epoch"),
    dict(eval_strategy="steps", eval_steps=2, max_steps=5),  # the last step is evaluated too
    dict(eval_strategy="steps", eval_steps=2, eval_delay=3, max_steps=6, logging_first_step=True, logging_steps=3),
    dict(eval_strategy="epoch", eval_delay=1.5, num_train_epochs=3),
])
def test_what_is_logged_and_evaluated_when(engine, args, tmp_path):
    m = start(engine, tmp_path / "base")
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    args = {**dict(save_strategy="no", logging_steps=1), **args}
    theirs, ours = hf_train(hf, tmp_path / "hf", **args), engine.train(m, examples(), **(ARGS | args))
    for key in ("loss", "eval_loss"):
        got, want = ([(row["step"], row[key]) for row in history if key in row] for history in (ours, theirs))
        assert want and [step for step, _ in got] == [step for step, _ in want], key
        assert [loss for _, loss in got] == pytest.approx([loss for _, loss in want], abs=1e-4), key


def test_the_best_checkpoint_may_be_the_last(engine, tmp_path):
    """It is saved and evaluated whatever save_steps and eval_steps are."""
    args = dict(eval_strategy="steps", save_strategy="steps", eval_steps=2, save_steps=2, max_steps=3, load_best_model_at_end=True,
                learning_rate=1e-3, lr_scheduler_type="constant", warmup_steps=0)
    m = start(engine, tmp_path / "base")
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    evaluated = [row["eval_loss"] for row in hf_train(hf, tmp_path / "hf", **args) if "eval_loss" in row]
    assert min(evaluated) == evaluated[-1]
    engine.train(m, examples(), output_dir=str(tmp_path / "ours"), **(ARGS | args))
    close(engine.forward(m, *batch())[1], hf_forward(hf.eval(), *batch())[1])


def test_every_training_argument_has_an_answer(engine):
    """The defaults of transformers are taken, and what cannot be done is refused with what to do."""
    a = C.create_string_buffer(1024)
    engine.lib.training_args_init(a)
    for field in dataclasses.fields(transformers.TrainingArguments):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        engine.call("training_args_from_json", a, engine.json({field.name: getattr(default, "value", default)}))
    for name, value, hint in [("push_to_hub", True, "nothing is uploaded"), ("deepspeed", {"zero": 2}, "num_processes"), ("neftune_noise_alpha", 5, "lora_dropout"),
                              ("resume_from_checkpoint", "out", "job:resume"), ("train_sampling_strategy", "group_by_length", "random order")]:
        with pytest.raises(LacusError, match=f"'{name}' is not supported with this value"):
            engine.call("training_args_from_json", a, engine.json({name: value}))
        assert hint in engine.hint


# ---- a long curve ------------------------------------------------------------------------------------------------------

GOLDEN = __import__("pathlib").Path(__file__).resolve().parents[1] / "golden" / "llama3"
LONG = dict(max_steps=200, learning_rate=1e-3, weight_decay=0.05, warmup_steps=10, lr_scheduler_type="cosine", logging_steps=1, seed=17, save_strategy="no",
            eval_strategy="no")


def texts(n=100):
    g = torch.Generator().manual_seed(12)
    made = []
    for i in range(n):
        ids = torch.randint(3, 384, (6 + i * 5 % 17,), generator=g).tolist()
        ids = [j if k % 3 else ids[0] for k, j in enumerate(ids)]  # something that can be learned
        made.append((ids, [-100] * (i % 4) + ids[i % 4:]))
    return made


def test_two_hundred_steps_are_those_of_trainer_under_any_split(engine, tmp_path):
    torch.set_num_threads(1)  # a model this small only waits for more
    hf = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN, dtype=torch.float32)
    theirs = [h["loss"] for h in hf_train(hf, tmp_path, texts(), **{**LONG, "num_train_epochs": 1, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 4})
              if "loss" in h]
    assert len(theirs) == 200 and theirs[-1] < theirs[0] - 0.5
    for batch, accumulation in ((4, 2), (8, 1), (1, 8)):
        m = engine.load(GOLDEN)
        ours = [h["loss"] for h in engine.train(m, texts(), **LONG, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation) if "loss" in h]
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=f"{batch} x {accumulation}")
        engine.lib.model_free(m)
