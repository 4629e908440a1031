"""Tokenizers against the `tokenizers` library: every component we claim, over texts made to be awkward."""
import ctypes as C
import json
import random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from clib import Err, LacusError, check, load


class Encoding(C.Structure):
    _fields_ = [("ids", C.POINTER(C.c_int32)), ("range", C.POINTER(C.c_uint32 * 2)), ("n", C.c_size_t),
                ("cap", C.c_size_t)]


class Buf(C.Structure):
    _fields_ = [("data", C.c_void_p), ("len", C.c_size_t), ("cap", C.c_size_t), ("max", C.c_size_t),
                ("failed", C.c_bool)]


@pytest.fixture(scope="module")
def lib():
    lib = load()
    lib.tokenizer_free.argtypes = [C.c_void_p]
    return lib


class Ours:
    def __init__(self, lib, text):
        self.lib, self.tok, err = lib, C.c_void_p(), Err()
        raw = text.encode()
        check(lib.tokenizer_parse(raw, C.c_size_t(len(raw)), C.byref(self.tok), C.byref(err)), err)

    def encode(self, text, special):
        enc, err, raw = Encoding(), Err(), text.encode()
        check(self.lib.tokenizer_encode(self.tok, raw, C.c_size_t(len(raw)), 2 + special, C.byref(enc), C.byref(err)), err)
        out = [enc.ids[i] for i in range(enc.n)], [tuple(enc.range[i]) for i in range(enc.n)]
        self.lib.encoding_release(C.byref(enc))
        return out

    def decode(self, ids, skip):
        out, err = Buf(max=1 << 24), Err()
        arr = (C.c_int32 * len(ids))(*ids)
        check(self.lib.tokenizer_decode(self.tok, arr, C.c_size_t(len(ids)), C.c_bool(skip), C.byref(out), C.byref(err)), err)
        text = C.string_at(out.data, out.len).decode() if out.len else ""
        self.lib.buf_release(C.byref(out))
        return text


CORPUS = ["The quick brown fox's 12 dogs aren't lazy; they've 3,456 naps.\n", "def f(x):\n\treturn x ** 2  # ok\n",
          "naïve café déjà vu — “quotes” ÅÉÎ\n", "日本語のテキスト 中文 한국어\n", "  leading and   trailing  spaces  \n"] * 20
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")


def texts():
    fixed = ["", " ", "  ", "\n", "\n\n \n", "a", " a", "a ", "Hello, world!", "it's we'll I'D 'S", "1234567 12.5e-3",
             "x<s>y</s> <s> <mask> z", "<mask>", " <mask> ", "a<mask>b", "WORD word wordy", "word", "a word.", "é", "é", "ﬁ ½ Ⅳ Å",
             "한글 각", "日本語 中文テスト", "👩‍👩‍👧‍👦 🇩🇪 👍🏽", "\u200bzero\u200d \ufeff", "\u00a0nbsp\u3000ideographic\u180emvs",
             "a\u0301\u0323 b\u0323\u0301", "İstanbul ſ K", "\t\ttabs\r\nCRLF\r", "٣٤٥ ²³ ¼", "___snake_case__ CamelCase", "\x00\x01\x7f",
             "a" * 100, "ab " * 80, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "क्षि नमस्ते", "ก็ สวัสดี", "▁under▁ ▁", "<0x41> <0xE2>", "．。！"]
    rng = random.Random(7)
    pools = ["abc XYZ 019 .,!?'\n\t", "éàñ ÅΩßſ", "日本한국語ㄱ", "\u0301\u0323\u0308", "👍🏽\u200d🇩", " \u00a0\u3000\u2028\u0085", "<>s/mask|", "𝔘½²٣"]
    return fixed + ["".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 40))) for _ in range(400)]


def bpe(pre, *, norm=None, alphabet=True, vocab=420, **model):
    tk = Tokenizer(models.BPE(**model))
    tk.pre_tokenizer, tk.normalizer = pre, norm
    tk.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=vocab, show_progress=False, special_tokens=model.get("unk_token") and [model["unk_token"]] or [],
                           initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else []))
    tk.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True, rstrip=True, special=True)])
    tk.add_tokens([AddedToken("word", single_word=True), "quick brown"])
    tk.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", tk.token_to_id("<s>")), ("</s>", tk.token_to_id("</s>"))])
    return tk


def seq(*parts):
    return pre_tokenizers.Sequence(list(parts))


def level(**kw):
    return pre_tokenizers.ByteLevel(**kw)


def variants():
    B = pre_tokenizers
    out = {
        "gpt2": bpe(level(add_prefix_space=False)),
        "gpt2_prefix": bpe(level(add_prefix_space=True)),
        "llama3": bpe(seq(B.Split(Regex(LLAMA3), "isolated"), level(add_prefix_space=False, use_regex=False)), ignore_merges=True),
        "qwen2_nfc": bpe(seq(B.Split(Regex(QWEN2), "isolated"), level(add_prefix_space=False, use_regex=False)), norm=normalizers.NFC()),
        "digits": bpe(seq(B.Digits(True), level(add_prefix_space=False))),
        "digits_runs": bpe(seq(B.Digits(False), B.Punctuation("contiguous"), level(add_prefix_space=False))),
        "punctuation": bpe(seq(B.Punctuation("isolated"), level(add_prefix_space=False, use_regex=False))),
        "whitespace": bpe(B.Whitespace(), alphabet=False, unk_token="<unk>"),
        "whitespace_split": bpe(seq(B.WhitespaceSplit(), B.Punctuation("merged_with_previous")), alphabet=False, unk_token="<unk>", fuse_unk=True),
        "delimiter": bpe(seq(B.CharDelimiterSplit(" "), B.Split("e", "merged_with_next")), alphabet=False),
        "removed": bpe(seq(B.Split(Regex(r"\s+"), "removed"), B.Split(Regex(r"[a-c]+"), "isolated", invert=True)), alphabet=False, unk_token="<unk>"),
        "metaspace_always": bpe(B.Metaspace(prepend_scheme="always"), alphabet=False, unk_token="<unk>"),
        "metaspace_first": bpe(B.Metaspace(prepend_scheme="first"), alphabet=False, unk_token="<unk>", fuse_unk=True),
        "metaspace_nosplit": bpe(B.Metaspace(prepend_scheme="never", split=False), alphabet=False, unk_token="<unk>"),
        "suffix": bpe(B.Whitespace(), alphabet=False, unk_token="<unk>"),
        "lower": bpe(level(add_prefix_space=False), norm=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()])),
        "nfkc": bpe(level(add_prefix_space=False), norm=normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])),
        "nfkd": bpe(level(add_prefix_space=False), norm=normalizers.NFKD()),
        "replace": bpe(None, norm=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), alphabet=False, unk_token="<unk>", fuse_unk=True),
    }
    for name in ("gpt2", "gpt2_prefix", "llama3", "qwen2_nfc", "digits", "lower", "nfkc", "nfkd", "digits_runs", "punctuation"):
        out[name].decoder = decoders.ByteLevel()
    for name in ("metaspace_always", "metaspace_first"):
        out[name].decoder = decoders.Metaspace(prepend_scheme=name.split("_")[1])
    out["replace"].decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    out["suffix"].decoder = decoders.BPEDecoder()
    out["gpt2_prefix"].post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    out["gpt2"].post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False), out["gpt2"].post_processor])
    out["digits"].post_processor = processors.RobertaProcessing(("</s>", out["digits"].token_to_id("</s>")), ("<s>", out["digits"].token_to_id("<s>")))
    return out


VARIANTS = variants()
# Composition changes lengths in ways where only the ranges of the combining marks themselves differ
LOOSE_OFFSETS = {"qwen2_nfc", "lower", "nfkc", "nfkd"}


@pytest.mark.parametrize("name", VARIANTS)
def test_same_ids_offsets_and_texts(lib, name):
    theirs = VARIANTS[name]
    ours = Ours(lib, theirs.to_str())
    for text in texts():
        for special in (False, True):
            want = theirs.encode(text, add_special_tokens=special)
            ids, ranges = ours.encode(text, special)
            assert ids == want.ids, text
            if name not in LOOSE_OFFSETS or text.isascii():
                assert ranges == want.offsets, text
            for skip in (False, True):
                assert ours.decode(ids, skip) == theirs.decode(want.ids, skip_special_tokens=skip), text
    ours.lib.tokenizer_free(ours.tok)


def test_added_tokens_that_share_spaces_and_joiners(lib):
    theirs = Tokenizer.from_str(VARIANTS["gpt2"].to_str())
    theirs.add_tokens([AddedToken(" ab", rstrip=True), AddedToken(" cd", lstrip=True, rstrip=True), AddedToken("lone", single_word=True)])
    ours = Ours(lib, theirs.to_str())
    for text in ["ab ab ab ", " ab ab  cd cd ab", "  cd  ab  cd  ", "x\u200dlone", "lone\u200c", "lone \u200d lone\u200b"]:
        assert ours.encode(text, False)[0] == theirs.encode(text, add_special_tokens=False).ids, text


def test_random_ids_decode_alike(lib):
    rng = random.Random(3)
    for name in ("gpt2", "llama3", "replace", "metaspace_first"):
        theirs, ours = VARIANTS[name], Ours(lib, VARIANTS[name].to_str())
        for _ in range(300):
            ids = [rng.randrange(theirs.get_vocab_size()) for _ in range(rng.randint(0, 12))]
            assert ours.decode(ids, False) == theirs.decode(ids, skip_special_tokens=False), ids


def test_old_files_with_merges_as_text(lib):
    data = json.loads(VARIANTS["gpt2"].to_str())
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    del data["model"]["type"]
    assert Ours(lib, json.dumps(data)).encode("The quick", 0)[0] == VARIANTS["gpt2"].encode("The quick", add_special_tokens=False).ids


@pytest.mark.parametrize("part, value", [("normalizer", {"type": "Nmt"}), ("pre_tokenizer", {"type": "UnicodeScripts"}),
                                         ("decoder", {"type": "WordPiece", "prefix": "##", "cleanup": True})])
def test_components_we_lack_are_named(lib, part, value):
    data = json.loads(VARIANTS["gpt2"].to_str())
    data[part] = value
    with pytest.raises(LacusError, match=value["type"]):
        Ours(lib, json.dumps(data))


# ---- training ----
class Training(C.Structure):
    _fields_ = [("vocab_size", C.c_size_t), ("min_frequency", C.c_size_t), ("bos", C.c_char_p), ("eos", C.c_char_p),
                ("pad", C.c_char_p), ("special_tokens", C.POINTER(C.c_char_p)), ("n_special_tokens", C.c_size_t),
                ("add_bos", C.c_bool), ("chat_template", C.c_char_p), ("model_max_length", C.c_int64)]


NEXT = C.CFUNCTYPE(C.c_int, C.c_void_p, C.POINTER(C.c_char_p), C.POINTER(C.c_size_t), C.c_void_p)


def train(lib, lines, folder, **options):
    rest, keep = iter(lines), []

    def following(_arg, text, size, _err):
        line = next(rest, None)
        raw = None if line is None else line.encode()
        keep[:] = [raw]
        text[0], size[0] = raw, len(raw or b"")
        return 0

    options = {k: v.encode() if isinstance(v, str) else v for k, v in options.items()}
    err = Err()
    check(lib.tokenizer_train(None, NEXT(following), None, C.byref(Training(**options)), str(folder).encode(), C.byref(err)), err)


def corpus_lines():
    rng = random.Random(11)
    syllables = ["ka", "ro", "lin", "ux", "lib", "py", "thon", "dev", "3-", "data", "é", "日本", "s", "ing", "Ti", " ", " ", "  ", "-", "\n", "12", "0.9"]
    return ["".join(rng.choice(syllables) for _ in range(rng.randint(3, 30))) for _ in range(3000)] + CORPUS


@pytest.mark.parametrize("vocab, least", [(300, 0), (800, 0), (3000, 2), (100000, 3)])
def test_training_gives_the_library_its_merges(lib, tmp_path, vocab, least):
    lines = corpus_lines()
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = seq(pre_tokenizers.Split(Regex(LLAMA3), "isolated"), level(add_prefix_space=False, use_regex=False))
    theirs.decoder = decoders.ByteLevel()
    theirs.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=vocab, min_frequency=least, special_tokens=["<s>", "</s>", "<pad>"],
                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    train(lib, lines, tmp_path, vocab_size=vocab, min_frequency=least, bos="<s>", eos="</s>", pad="<pad>", add_bos=True)
    ours, want = json.loads((tmp_path / "tokenizer.json").read_text()), json.loads(theirs.to_str())
    assert ours["model"]["merges"] == want["model"]["merges"]
    assert ours["model"]["vocab"] == want["model"]["vocab"]
    assert ours["pre_tokenizer"] == want["pre_tokenizer"]


def test_transformers_loads_what_we_train(lib, tmp_path):
    from transformers import AutoTokenizer
    train(lib, corpus_lines(), tmp_path, vocab_size=600, bos="<s>", eos="</s>", pad="<pad>", add_bos=True, model_max_length=128,
          chat_template="{% for m in messages %}{{ m.content }}{% endfor %}")
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = Ours(lib, (tmp_path / "tokenizer.json").read_text())
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token, theirs.model_max_length) == ("<s>", "</s>", "<pad>", 128)
    for text in texts():
        assert ours.encode(text, 1)[0] == theirs(text)["input_ids"], text
        assert ours.encode(text, 0)[0] == theirs(text, add_special_tokens=False)["input_ids"], text
        ids = theirs(text)["input_ids"]
        assert ours.decode(ids, True) == theirs.decode(ids, skip_special_tokens=True), text
    assert theirs.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "x"


def test_a_vocabulary_that_is_too_small_is_refused(lib, tmp_path):
    with pytest.raises(LacusError, match="need 259"):
        train(lib, ["a"], tmp_path, vocab_size=258, bos="<s>", eos="</s>", pad="<pad>")
