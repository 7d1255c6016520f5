"""Whether a text may be in an allowed language: what is seen outranks what is declared."""

from __future__ import annotations

import pytest

from literesearcher.tools.sources.languages import code_of, may_be_in

ENGLISH = "The committee published its report on the state of the lake in the spring of that year. "
FRENCH = "Le comité a publié son rapport sur l'état du lac au printemps de cette année-là, après débat. "
CHINESE = "委员会在那一年的春天发表了关于湖泊状况的报告，并呼吁各方采取措施保护水质和生物多样性。"
JAPANESE = "委員会はその年の春に湖の状態に関する報告書を発表し、水質の保護を呼びかけました。"
KOREAN = "위원회는 그해 봄에 호수의 상태에 관한 보고서를 발표하고 수질 보호를 촉구했다."
RUSSIAN = "Весной того года комитет опубликовал доклад о состоянии озера и призвал к его охране. "
ARABIC = "نشرت اللجنة تقريرها عن حالة البحيرة في ربيع ذلك العام ودعت إلى حمايتها من التلوث."
TEXTS = {"en": ENGLISH, "zh": CHINESE, "ja": JAPANESE, "ko": KOREAN, "ru": RUSSIAN, "ar": ARABIC}


@pytest.mark.parametrize("language", TEXTS)
def test_a_script_tells_languages_apart(language):
    assert [other for other, text in TEXTS.items() if may_be_in([language], text * 8)] == [language]


@pytest.mark.parametrize(
    ("allowed", "text", "declared", "passes"),
    [
        (["en"], FRENCH, None, True),  # one script, nothing declared: nobody can tell
        (["en"], FRENCH, "fr", False),
        (["en"], FRENCH, "en-GB", True),
        (["fr", "de"], FRENCH, "FR_fr", True),
        # a declaration that the text belies
        (["zh"], CHINESE * 8, "en", True),
        (["en"], CHINESE * 8, "en", False),
        (["zh"], ENGLISH, "zh-CN", False),
        (["ja"], CHINESE * 8, "ja", False),
        # Chinese with English words in it, English with a Chinese name in it
        (["zh"], "使用 PyTorch 和 Transformers 训练大语言模型的完整教程，包括数据准备与评测方法", None, True),
        (["en"], "使用 PyTorch 和 Transformers 训练大语言模型的完整教程，包括数据准备与评测方法", None, False),
        (["en"], ENGLISH + "(湖泊报告)", None, True),
        # too little to tell
        (["en"], "2024", None, True),
        (["en"], "東京", None, True),
        (["en"], "", None, True),
        (["en"], "", "de", False),
        (["ja"], "東京大学公式案内資料一覧二〇二四年度入学試験要項", None, True),
        (["ru"], CHINESE, None, False),
        (["sr"], RUSSIAN, None, True),
        (["sr"], ENGLISH, None, True),
        (["xx"], ENGLISH, None, True),  # a language that is not known is taken to be written in Latin letters
    ],
)
def test_what_passes(allowed, text, declared, passes):
    assert may_be_in(allowed, text, declared) is passes


def test_codes_are_compared_by_their_first_part():
    assert [code_of(code) for code in ("zh-Hans-CN", "ZH_tw", "nb", "iw", " en ", "jp", "")] == [
        "zh", "zh", "no", "he", "en", "ja", "",
    ]  # fmt: skip
