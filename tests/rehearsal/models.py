"""Random models of the paper tier's architectures, in folders as their authors publish them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from ir_replications.prorank.method.prompt import PREFIX, SUFFIX, TASK
from tests.rehearsal.texts import corpus

QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
QWEN_TEMPLATE = (  # Qwen2.5's: a default system turn where none is given
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are Qwen, created by Alibaba "
    "Cloud. You are a helpful assistant.<|im_end|>\n{% endif %}{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def chat(
    folder: Path, *, seed: int, kind: str = "Qwen2", width: int = 32, shard: str | None = None
) -> Path:
    """A Qwen2 or Llama for text generation with a byte-level BPE and a template for chats.

    `shard` bounds the size of a file of weights.
    """
    empty = transformers.Qwen2Tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    learner = empty.backend_tokenizer
    learner.train_from_iterator([*corpus(), PREFIX + TASK + SUFFIX], trainer)
    learned = json.loads(learner.to_str())["model"]
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=131072,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(QWEN_SPECIAL)})
    tokenizer.chat_template = QWEN_TEMPLATE
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    torch.manual_seed(seed)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer) + 24,  # padded, as the published embeddings are
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        eos_token_id=end,
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(torch.bfloat16)
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05,
        eos_token_id=[end, config.bos_token_id], pad_token_id=config.bos_token_id,
    )  # fmt: skip
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    tokenizer.save_pretrained(folder, save_jinja_files=False)  # as Qwen2.5 has its template
    return folder


def bert(folder: Path, *, seed: int, layers: int, width: int, kind: str = "Bert") -> Path:
    """A pre-trained BERT or DistilBERT with the head of masked words and its word pieces."""
    tokenizer = _bert_tokenizer(kind)
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"vocab_size": len(tokenizer), "max_position_embeddings": 512}
    if kind == "Bert":
        sizes |= {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4}
        sizes |= {"intermediate_size": 2 * width}
        model: Any = transformers.BertForPreTraining(transformers.BertConfig(**sizes))
    else:
        sizes |= {"dim": width, "n_layers": layers, "n_heads": 4, "hidden_dim": 2 * width}
        model = transformers.DistilBertForMaskedLM(transformers.DistilBertConfig(**sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def with_old_names(folder: Path) -> Path:
    """The weights of a BERT under the names of 2018, which bert-base-uncased keeps."""
    weights = load_file(folder / "model.safetensors")
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, value in weights.items():
        for new, former in old.items():
            name = name.replace(new, former)
        renamed[name] = value.contiguous().clone()
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    return folder


def pickled(folder: Path) -> Path:
    """The weights as pytorch_model.bin alone, as repositories before safetensors have them."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def embedder(folder: Path, *, seed: int) -> Path:
    """A BERT encoder with the files by which sentence-transformers pools its first state."""
    tokenizer = _bert_tokenizer("Bert")
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=512, initializer_range=0.2,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}
    pooling |= {f"pooling_mode_{way}": False for way in ("mean_tokens", "max_tokens")}
    for name, content in (
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": True}),
    ):
        (folder / name).write_text(json.dumps(content))
    return folder


def xlm_roberta(folder: Path, *, seed: int) -> Path:
    """A cross-encoder of one label on XLM-RoBERTa with a unigram tokenizer."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = Tokenizer(models.Unigram())
    pieces.normalizer = normalizers.NFKC()
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=[*special, "<mask>"], unk_token="<unk>", show_progress=False
    )
    pieces.train_from_iterator(corpus(), trainer)
    vocabulary = [tuple(pair) for pair in json.loads(pieces.to_str())["model"]["vocab"]]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=vocabulary, model_max_length=8192)
    torch.manual_seed(seed)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=514, type_vocab_size=1, num_labels=1,
        initializer_range=0.2, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    transformers.XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def _word_pieces() -> Tokenizer:
    """Learnt once: BERT and its students share one vocabulary."""
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=list(BERT_SPECIAL), show_progress=False
    )
    pieces.train_from_iterator(corpus(), trainer)
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, pieces.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )  # fmt: skip
    return pieces


def _bert_tokenizer(kind: str) -> Any:
    made = getattr(transformers, f"{kind}TokenizerFast")
    return made(tokenizer_object=_word_pieces(), model_max_length=512)
