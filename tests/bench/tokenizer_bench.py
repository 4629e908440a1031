"""Tokenizers beside Hugging Face's on one core: CPU seconds over real text (what is installed beside Python: prose and sources), in documents as a data set has them."""
import ctypes as C
import os
import pathlib
import sys
import sysconfig
import time

from table import Table

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DOCUMENT = 4096  # characters


def corpus(megabytes):
    """Documents of prose and sources in a fixed order."""
    texts, total = [], 0
    places = [pathlib.Path(sysconfig.get_path(p)) for p in ("purelib", "stdlib")]
    for ending in (".rst", ".md", "METADATA", ".txt", ".py"):
        for place in places:
            for path in sorted(place.rglob("*" + ending)):
                try:
                    text = path.read_text()
                except (UnicodeDecodeError, OSError):
                    continue
                if total > megabytes / 5 * (1 + (".rst", ".md", "METADATA", ".txt", ".py").index(ending)) * 1e6:
                    break
                texts += [text[i:i + DOCUMENT] for i in range(0, len(text), DOCUMENT)]
                total += len(text.encode())
    return texts


def trained(kind, texts):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE(byte_fallback=kind == "sentencepiece", unk_token="<unk>" if kind == "sentencepiece" else None))
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] if kind == "sentencepiece" else ["<|begin_of_text|>", "<|eot_id|>"]
    if kind == "byte-level":
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=32000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
        tok.train_from_iterator(texts, trainer)
        return tok
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tok.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=32000, special_tokens=special, show_progress=False))
    tok.pre_tokenizer = None  # Llama 2: the whole text is one piece
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tok


def measure(kind, theirs, texts, repeats):
    from clib import Err, check, load
    from test_tokenizer import Encoding
    lib, err, tok = load(), Err(), C.c_void_p()
    raw = theirs.to_str().encode()
    check(lib.tokenizer_parse(raw, C.c_size_t(len(raw)), C.byref(tok), C.byref(err)), err)
    documents, times = [t.encode() for t in texts], ([], [])
    enc = Encoding()
    for _ in range(repeats):
        start = time.process_time()
        for d in documents:
            check(lib.tokenizer_encode(tok, d, C.c_size_t(len(d)), 0, C.byref(enc), C.byref(err)), err)
        times[0].append(time.process_time() - start)
        start = time.process_time()
        for t in texts:
            theirs.encode(t, add_special_tokens=False)
        times[1].append(time.process_time() - start)
    for t, d in zip(texts[::97], documents[::97]):
        check(lib.tokenizer_encode(tok, d, C.c_size_t(len(d)), 0, C.byref(enc), C.byref(err)), err)
        assert enc.ids[:enc.n] == theirs.encode(t, add_special_tokens=False).ids, "not the same tokens"
    return times


def main(megabytes=10.0, repeats=3):
    table = Table("tokenizer")
    texts = corpus(megabytes)
    size = sum(len(t.encode()) for t in texts) / 1e6
    for kind in ("byte-level", "sentencepiece"):
        ours, theirs = measure(kind, trained(kind, texts[::4]), texts, repeats)
        table.row(f"{kind} BPE, {size:.1f} MB of text", ours, theirs, "s", "tokenizers", "<= 0.2")
    table.save(ROOT / "build/bench/tokenizer.json")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
