"""Writes a llama model of random weights, small enough to load in a blink, that llama.cpp accepts.

What it says is nonsense; that it says it through a real inference server is the point.

Usage: tiny_model.py FILE
"""

import sys

import gguf
import numpy

EMBEDDING = 64
FEED_FORWARD = 160
HEADS = 4
LAYERS = 2
CONTEXT = 4096
WORDS = (
    "the river runs past an old mill and every wheel turns as water comes down from hills where rain fell last night "
    "while people slept in houses along its banks until morning light came over them again with birds that sang of it"
).split()


def vocabulary():
    """Returns tokens and their types: three controls, all bytes, then whole words and printable characters."""
    controls = [b"<unk>", b"<s>", b"</s>"]
    single_bytes = [f"<0x{value:02X}>".encode() for value in range(256)]
    space = "\u2581"
    words = [space.encode()] + [(space + word).encode() for word in dict.fromkeys(WORDS)]
    characters = [bytes([code]) for code in range(33, 127)]
    normal = words + characters
    types = (
        [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
        + [gguf.TokenType.BYTE] * len(single_bytes)
        + [gguf.TokenType.NORMAL] * len(normal)
    )
    return controls + single_bytes + normal, types


def write(path):
    tokens, types = vocabulary()
    first_normal = len(tokens) - types.count(gguf.TokenType.NORMAL)
    random = numpy.random.default_rng(20)

    def weights(*shape):
        return (random.standard_normal(shape) * 0.4).astype(numpy.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0 if index < first_normal else -float(index) for index in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
    )

    # No weight on controls and bytes: what it says is made of words.
    output = weights(len(tokens), EMBEDDING)
    output[:first_normal] = 0.0
    writer.add_tensor("token_embd.weight", weights(len(tokens), EMBEDDING))
    writer.add_tensor("output_norm.weight", numpy.ones(EMBEDDING, numpy.float32))
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{norm}.weight", numpy.ones(EMBEDDING, numpy.float32))
        for attention in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}{attention}.weight", weights(EMBEDDING, EMBEDDING))
        for up in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}{up}.weight", weights(FEED_FORWARD, EMBEDDING))
        writer.add_tensor(f"{block}ffn_down.weight", weights(EMBEDDING, FEED_FORWARD))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
