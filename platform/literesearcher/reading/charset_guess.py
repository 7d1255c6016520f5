"""Which legacy encoding bytes are in, by whose letters they make: a table of scripts and languages.

A row is an encoding with the letters that its readers use most; what fits is what turns the most odd bytes into those.
Rows come in the order in which they are believed when they fit alike. Refuses to know: UTF-8, declared names, what a
caller does with a doubt.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import NamedTuple

SAMPLE_BYTES = 40_000
SURE = 0.8
"""A guess this good outranks what a page says of itself, where that reads badly."""
LIKELY = 0.5
_NEUTRAL = frozenset("\u00a0\u00ad«»‹›“”‘’„‚–—…•·°©®™€£§´`º\u3000、。，：；！？（）「」『』《》・ー～\ufffd\u200b")
"""Signs that say little: every script's readers use them."""
_HIGH = re.compile(rb"[\x80-\xff]+")
_FREQUENT = 0.4
_RUN = 2.4
"""Odd bytes stand alone among the letters of a Latin page and in long runs on any other."""

_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家"
    "种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民"
    "第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月"
    "话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变"
    "四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼"
    "书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切"
    "院让识候带导争运笔京公园散步欢迎站网页版权所有联系我们首页新闻更多关于服务技术公司产品信息中心城大学人工智能特聘"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家"
    "種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日軍者意無力它與長把機十民"
    "第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月"
    "話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變"
    "四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼"
    "書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切"
    "院讓識候帶導爭運歡迎站網頁版權所有聯絡首頁新聞更多關於服務技術公司產品資訊中心臺灣臺北綜合"
)
_KANA = "".join(chr(code) for code in (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7)))
_KANJI = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入"
    "選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強"
    "気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書"
    "府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品"
    "昨論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格"
    "有疑口過局少放税検藤町常校料沢裁状工建語球営空職証土与急止送援供可役構木割聞身費付施切由説転食比難防補車優夫研収"
    "断井何南石足違消境神番規術護展態導鮮備宅害配副算視条幹独警宮究育席輸訪楽起万着乗店述残想線率病農州武声質念待試族"
    "象銀域助労例衛然早張映限親額監環験追審商葉義伝働形景落欧担好退準賞訴辺造英被株頭技低毎医復仕去姿味負閣韓渡失移差"
    "衆個門写評課末守若脳極種美岡影命含福蔵量望松非撃佐核観察整段横融型白深字答夜製票況音申様財港識注呼渉達"
)
_HANGUL = (
    "이다의는에을가고하한지은기사로인대도를자어리시정일해아부제서그나으있장상수전구원보들과라여동공스주화만게것연세선조소"
    "경교계신국민생성당적관회말안법업중오비와었에트내행모무면위우문치드발용방요없마미학진니될되할같더본명개실까양물물금습"
    "페런울재단님및또후때영강호등체분음식각간통산합입결년월"
)


class Row(NamedTuple):
    """An encoding and who reads it."""

    encoding: str
    letters: str
    share: float
    """Of the odd characters in an ordinary text, so many are among the letters."""
    latin: bool = False
    frequent: int = 0
    """The first so many letters make up two fifths of a text at least: alphabets lie at the same bytes, and only
    frequency tells Hebrew from Russian."""


_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфієїґў"
_GREEK = "αοιετσνηυρπκμλςωγδθφχβάέήίόύώ"
_HEBREW = "יוהלאמרתבשנעדקחפצגטכםןזסךףץ"
_THAI = "านรอกเงมยลวดทสตะปบคหแจพชขใไโผธถซศณญภ่้ีัิืุู็์ำ"
_ROWS = (
    Row("gb18030", _SIMPLIFIED, 0.55),
    Row("cp932", _KANA + _KANJI, 0.85),
    Row("euc_jp", _KANA + _KANJI, 0.85),
    Row("big5hkscs", _TRADITIONAL, 0.55),
    Row("cp949", _HANGUL, 0.65),
    Row("cp1251", _CYRILLIC, 0.9, frequent=8),
    Row("koi8_u", _CYRILLIC, 0.9, frequent=8),
    Row("iso8859_5", _CYRILLIC, 0.9, frequent=8),
    Row("cp866", _CYRILLIC, 0.9, frequent=8),
    Row("cp1253", _GREEK, 0.9, frequent=8),
    Row("cp1255", _HEBREW, 0.95, frequent=8),
    Row("cp1256", "اليمونرتبةعدسفهكقحجشطصخضغذثزظءأإآىئؤپچگ", 0.95, frequent=8),
    Row("cp874", _THAI, 0.95, frequent=12),
    *(
        Row(encoding, letters, 1.0, latin=True)
        for encoding, letters in (
            ("cp1252", "éèàêçùôîâûëïœæ"),
            ("cp1252", "äöüß"),
            ("cp1252", "áéíóúñü¿¡ç"),
            ("cp1252", "áàâãéêíóôõúç"),
            ("cp1252", "àèéìòùóí"),
            ("cp1252", "åäöøæé"),
            ("cp1250", "ąćęłńóśźż"),
            ("iso8859_2", "ąćęłńóśźż"),
            ("cp1250", "áčďéěíňóřšťúůýž"),
            ("cp1250", "áäčďéíĺľňóôŕšťúýž"),
            ("iso8859_2", "áčďéěíňóřšťúůýž"),
            ("cp1250", "áéíóöőúüű"),
            ("iso8859_2", "áéíóöőúüű"),
            ("cp1250", "čšžćđ"),
            ("cp1250", "ăâîşţ"),
            ("iso8859_2", "ăâîşţ"),
            ("cp1254", "çğıöşüâi\u0307"),
            ("cp1257", "ąčęėįšųūž"),
            ("cp1257", "āčēģīķļņšūž"),
            ("cp1257", "äöüõšž"),
            ("cp1252", "áðéíóúýþæö"),
        )
    ),
)


class Guess(NamedTuple):
    """An encoding and how well it fits, 0 to 1."""

    encoding: str
    fit: float


def guess(body: bytes) -> Guess | None:
    """The encoding that fits best; None where there is nothing to go by. `body` begins near its first odd byte."""
    sample = body[:SAMPLE_BYTES]
    runs = _HIGH.findall(sample)
    odd = sum(map(len, runs))
    if not odd:
        return None
    best: Guess | None = None
    for encoding, counts in _counted(sample, odd).items():
        fit = _fit(encoding, counts, odd / len(runs))
        if fit > 0 and (best is None or fit > best.fit + 0.001):
            best = Guess(encoding, fit)
    return best


def fit(body: bytes, encoding: str) -> float:
    """How well the encoding fits the bytes, 0 to 1; 1 where the table knows nothing of it."""
    name = codecs.lookup(encoding).name
    known = {codecs.lookup(row.encoding).name: row.encoding for row in _ROWS}
    sample = body[:SAMPLE_BYTES]
    runs = _HIGH.findall(sample)
    if name not in known or not runs:
        return 1.0
    counts = _counts(sample, known[name], sum(map(len, runs)))
    return 0.0 if counts is None else _fit(known[name], counts, sum(map(len, runs)) / len(runs))


def _counted(sample: bytes, odd: int) -> dict[str, Counter[str]]:
    found = {}
    for encoding in dict.fromkeys(row.encoding for row in _ROWS):
        counts = _counts(sample, encoding, odd)
        if counts is not None:
            found[encoding] = counts
    return found


def _counts(sample: bytes, encoding: str, odd: int) -> Counter[str] | None:
    """Odd characters that tell something; None where the bytes are not in the encoding."""
    text = sample.decode(encoding, "replace")
    if text.count("\ufffd") > 1 + odd // 200:
        return None
    return Counter(character for character in text if character > "\x7f" and character not in _NEUTRAL)


def _fit(encoding: str, counts: Counter[str], run: float) -> float:
    total = sum(counts.values())
    latin = run < _RUN
    best = 0.0
    for row in _ROWS:
        if row.encoding == encoding and row.latin == latin:
            if not total:
                return 1.0 if latin else 0.0  # quotation marks alone, between letters of ASCII
            # Capitals count on Latin pages only: Russian in the wrong Cyrillic encoding is all capitals.
            letters = set(row.letters + row.letters.upper()) if latin else set(row.letters)
            here = min(1.0, sum(counts[letter] for letter in letters) / total / row.share)
            if row.frequent:
                here *= min(1.0, sum(counts[letter] for letter in row.letters[: row.frequent]) / total / _FREQUENT)
            best = max(best, here)
    return best
