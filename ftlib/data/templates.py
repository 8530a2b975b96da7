"""Prompt templates: how a question, its context and earlier turns become the text a model reads.

Every template is a chat template in the Hugging Face sense: Jinja over ``messages``, ``bos_token``,
``eos_token`` and ``add_generation_prompt``. User messages carry two keys beside ``content``
(``question`` and ``context``) for formats such as Alpaca's that set the context apart.
"""

from pathlib import Path

from ftlib.recipe import UserError

# The published prompt of Stanford's Alpaca: one opening line where the row has an input, another where not.
ALPACA = """{{ bos_token -}}
{%- if messages[0]['role'] == 'system' -%}
{{ messages[0]['content'] + '\\n\\n' -}}
{%- elif messages | selectattr('context', 'defined') | map(attribute='context') | select | list -%}
{{ 'Below is an instruction that describes a task, paired with an input that provides further context. ' -}}
{{ 'Write a response that appropriately completes the request.\\n\\n' -}}
{%- else -%}
{{ 'Below is an instruction that describes a task. ' -}}
{{ 'Write a response that appropriately completes the request.\\n\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ '### Instruction:\\n' + message['question'] + '\\n\\n' -}}
{%- if message['context'] -%}{{ '### Input:\\n' + message['context'] + '\\n\\n' -}}{%- endif -%}
{{ '### Response:\\n' -}}
{%- elif message['role'] == 'assistant' -%}
{{ message['content'] + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

# Meta's format: the system text sits inside the first instruction. BOS opens the sequence once, not every turn.
LLAMA2 = """{{ bos_token -}}
{%- set first = 1 if messages[0]['role'] == 'system' else 0 -%}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' if first else '' -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ '[INST] ' + (system if loop.index0 == first else '') + message['content'] + ' [/INST]' -}}
{%- elif message['role'] == 'assistant' -%}
{{ ' ' + message['content'] + ' ' + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

CHATML = """{{ bos_token if bos_token else '' -}}
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

NAMED = {"alpaca": ALPACA, "llama2": LLAMA2, "chatml": CHATML}


def find(template: str, tokenizer) -> str:
    """The Jinja source that a recipe's ``prompt.template`` stands for.

    Args:
        template: ``tokenizer`` (its own chat template), ``alpaca``, ``llama2``, ``chatml``, or the path of a file
            that ends in ``.jinja``.
        tokenizer: a Hugging Face tokenizer.

    Returns:
        Jinja source.

    Raises:
        UserError: unknown name, unreadable file, or a tokenizer without a chat template.
    """
    if template in NAMED:
        return NAMED[template]
    if template == "tokenizer":
        return _tokenizers_own(tokenizer)
    path = Path(template)
    if path.suffix in (".jinja", ".jinja2", ".j2"):
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError.of(
                f"prompt.template = {template}", "a readable Jinja file in UTF-8", str(error), "check the path"
            ) from error
    raise UserError.of(
        "prompt.template",
        "tokenizer, " + ", ".join(NAMED) + " or the path of a .jinja file",
        repr(template),
        "name one of these in the recipe",
    )


def _tokenizers_own(tokenizer) -> str:
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = own.get("default")
    if not own:
        raise UserError.of(
            "prompt.template = tokenizer",
            "a tokenizer with a chat template",
            f"none in {tokenizer.name_or_path or 'this tokenizer'} (base models often have none)",
            "choose prompt.template: alpaca, llama2, chatml or a .jinja file",
        )
    return own
