"""Patterns of personal data and secrets, each with what must stand in a text before it is worth a search.

Precision comes first: version numbers, hashes, UUIDs, times and counts stay. So no text is taken for a
secret because it looks random; it has a known form, or stands behind a word such as ``password``.
"""

from __future__ import annotations

import bisect
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["CATEGORIES", "find", "secret_key", "secret_value"]

CATEGORIES = ("secret", "iban", "card", "ip", "phone", "address", "e-mail", "person")


class Pattern(NamedTuple):
    """How one kind of text is found.

    Attributes
    ----------
    category : str
        One of `CATEGORIES`.
    needs : tuple of str
        Lower-case texts, one of which must occur; empty when any text may hold it.
    regex : Pattern
        Its group ``x`` is what is replaced, or the whole match when there is none.
    fits : callable
        Whether a match is one, from its text and what stands just before and after it.
    """

    category: str
    needs: tuple[str, ...]
    regex: re.Pattern[str]
    fits: Callable[[str, str, str], bool]


def _any(_value: str, _before: str, _after: str) -> bool:
    return True


_TOKENS = "|".join((
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JSON web token
    r"(?:AKIA|ASIA)[A-Z2-7]{16}",  # AWS access key id
    r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{40,255}",
    r"glpat-[\w-]{20,}|gl(?:dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}",
    r"AIza[\w-]{35}|ya29\.[\w-]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}",
    r"sk-[A-Za-z0-9]{20,}|sk-(?:proj|svcacct|admin|ant-\w{3,10})-[\w-]{20,}",
    r"hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[\w-]{40,}|dapi[0-9a-f]{32}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}|dop_v1_[0-9a-f]{64}|hv[sb]\.[\w-]{24,}",
))  # fmt: skip
_TOKEN_WORDS = (
    "eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glcbt-",
    "glptt-", "glft-", "glsoat-", "xox", "xapp-", "aiza", "ya29.", "sk_", "rk_", "pk_", "whsec_", "sk-", "hf_", "npm_",
    "pypi-", "dapi", "sg.", "shpat_", "shpss_", "shpca_", "shppa_", "dop_v1_", "hvs.", "hvb.",
)  # fmt: skip
_LABELS = (
    r"pass(?:word|wd|phrase)|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|client[_-]?secret|api[_-]?key|apikey|"
    r"access[_-]?key(?:[_-]?id)?|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"token|credentials?|session[_-]?id|sessid|sig(?:nature)?(?==)"
)
_NO_LABEL = r"(?<!next_)(?<!page_)(?<!continuation_)(?<!eos_)(?<!bos_)(?<!pad_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)"
_LABEL_WORDS = ("pass", "pwd", "secret", "key", "token", "credential", "sess", "sig")
_KEY = re.compile(rf"(?:.*[^a-z0-9]|.*[a-z](?=[A-Z]))?{_NO_LABEL}(?i:{_LABELS})", re.DOTALL)
_OPEN = re.compile(
    "none|null|nil|true|false|yes|no|empty|unset|missing|required|optional|expired|invalid|incorrect|wrong|changed|reset|"
    "rotated|revoked|redacted|hidden|masked|default|string|str|int|bytes|undefined|unknown|denied|failed|valid|ok|example|"
    "changeme|request|refresh|rejected|accepted|not|is|was|has|for|and|the|password|secret|token"
)
_PLACEHOLDER = re.compile(
    r"[*x•.\-_]+|<.*>?|\$\{?.*|\{\{.*|%\(.*|\[.*|arn:.*|/[\w/.-]*|os\.environ.*|\w+\(.*", re.IGNORECASE
)


def secret_key(name: str) -> bool:
    """Whether a column or key of this name holds secrets.

    Examples
    --------
    >>> [name for name in ("DB_PASSWORD", "apiKey", "max_tokens", "eos_token", "cache_key") if secret_key(name)]
    ['DB_PASSWORD', 'apiKey']
    """
    return len(name) <= 100 and bool(_KEY.fullmatch(name))


def secret_value(name: str, value: str, *, prose: bool = False) -> bool:
    """Whether a value under a key that holds secrets is one, and no word about it, count or placeholder.

    Examples
    --------
    >>> secret_value("password", "hunter2"), secret_value("password", "incorrect"), secret_value("token", "512")
    (True, False, False)
    """
    plain = value.strip().lower()
    if len(plain) < 4 or _OPEN.fullmatch(plain.strip(".,;:!?")) or _PLACEHOLDER.fullmatch(plain):
        return False
    if not re.search("pass|pwd", name.lower()):
        if len(plain) < 8 or re.fullmatch(r"[\d.,]+", plain) or not re.search(r"\d|[A-Z].*[a-z]|[a-z].*[A-Z]", value):
            return False
        prose = False if " " not in plain else prose
    return not prose or bool(re.search(r"\d|[^\w.,;:!?'\"()-]", value))


def _labelled(value: str, before: str, _after: str) -> bool:
    match = _BEFORE.search(before)
    name, sign = (match["name"], match["sign"]) if match else ("password", "=")
    prose = "=" not in sign and not sign.rstrip().endswith(('"', "'"))
    return secret_value(name, value, prose=prose)


_BEFORE = re.compile(r"(?P<name>[A-Za-z_-]+)(?P<sign>\\*[\"']?\s{0,2}[:=]\s{0,2}\\*[\"']?)$")


def _bearer(value: str, before: str, _after: str) -> bool:
    """Whether what follows "bearer" is a token and no word; behind an authorization header anything is."""
    return any(mark.isdigit() for mark in value) or "authorization" in before.lower()


_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3})?|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d+|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"(?:6011|65\d\d|64[4-9]\d|35(?:2[89]|[3-8]\d)|62\d\d)\d{12}"
)
# Length of a bank account number -> countries that use it, from the register of the standard ISO 13616.
_IBAN = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT ST",
    26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC",
}  # fmt: skip
_COUNTRIES = "|".join(
    rf"(?:{'|'.join(names.split())})\d\d(?: ?[A-Z0-9]){{{size - 4}}}" for size, names in _IBAN.items()
)


def _card(value: str, _before: str, _after: str) -> bool:
    """Whether digits are a card number: an issuer's form, and Luhn's check digit."""
    digits = re.sub(r"\D", "", value)
    if not _ISSUERS.fullmatch(digits) or (len(digits) != 16 and digits[0] in "52"):
        return False
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(number // 10 + number % 10 for number in doubled)) % 10 == 0


def _iban(value: str, _before: str, _after: str) -> bool:
    """Whether a text of its country's length has the remainder 1 modulo 97 (ISO 7064)."""
    plain = value.replace(" ", "")
    return int("".join(str(int(mark, 36)) for mark in plain[4:] + plain[:4])) % 97 == 1


_VERSION = re.compile(
    r"(?:(?<![A-Za-z])(?:v|ver|version|release|rev|tag|build|firmware|upgraded?(?: to)?|bump(?:ed)?(?: to)?|"
    r"section|chapter|step|rfc|oid)[\s:=\"']{0,4}|[~^@§]\s?|[=<>!]=\s?)$",
    re.IGNORECASE,
)
_PACKAGE = re.compile(r"[A-Za-z_)][/-]$")  # nginx-1.2.3.4, Agent/1.2.3.4
_PRE = re.compile(r"-?(?:rc|alpha|beta|post|dev|final|snapshot)", re.IGNORECASE)


def _ip4(value: str, before: str, after: str) -> bool:
    """Whether four numbers are an address, and neither a version nor an address that is the same everywhere."""
    parts = value.split(".")
    if any(len(part) > 1 and part[0] == "0" for part in parts) or any(int(part) > 255 for part in parts):
        return False
    if parts[0] in ("0", "127") or value == "255.255.255.255":
        return False
    private = ipaddress.IPv4Address(value).is_private
    return not (_VERSION.search(before) or _PRE.match(after) or (_PACKAGE.search(before) and not private))


def _ip6(value: str, before: str, _after: str) -> bool:
    """Whether groups are an address, and neither a time nor a name such as ``std::size``."""
    if "::" not in value and value.count(":") != 7:
        return False
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    groups = [group for group in value.split(":") if group]
    if address.is_loopback or address.is_unspecified or before.endswith(":"):
        return False
    known = sum(any(mark.isdigit() for mark in group) for group in groups)
    return "::" not in value or (len(groups) > 1 and known > 0 and any(len(group) > 2 for group in groups))


def _phone(value: str, _before: str, _after: str) -> bool:
    """Whether digits are enough for a phone number, and no date, decimal or count with a sign."""
    digits = re.sub(r"\D", "", value)
    if not value.startswith("+"):
        return 7 <= len(digits) <= 15 and not re.match(r"\d{4}-\d\d-\d\d|\d+\.\d+$", value)
    plain = value[1:].isdigit()
    return 8 <= len(digits) <= 15 and (not plain or len(digits) > 9) and not re.fullmatch(r"\+\d+\.\d+", value)


_UP = "A-ZÀ-ÖØ-Þ"
_WORD = rf"[{_UP}][\w'\u2019.-]{{1,30}}"
_CODE = r"(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2})"
_CITY = (
    rf"(?:,\s?(?:[A-Z]{{1,2}}-)?(?:\d{{4,5}}\s{_WORD}(?:\s{_WORD})?"
    rf"|{_WORD}(?:\s{_WORD})?(?:,?\s[A-Z]{{2}})?,?\s{_CODE}))?"
)
_STREETS = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Parkway|Pkwy|Highway|Hwy"
)
_ROUTES = "rue|avenue|boulevard|chemin|impasse|allée|quai|calle|avenida|via|viale|piazza|rua"


PATTERNS = (
    Pattern("secret", ("private key-----",), re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----(?:(?!-----)[A-Za-z0-9+/=\s\\:,.-]){1,20000}"
        r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----)?"), _any),
    Pattern("secret", ("://",), re.compile(
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/?#:@\"'<>]{0,100}:(?P<x>[^\s\"'<>/]{1,200})@(?=[\w\[])"),
        lambda value, _before, _after: not _PLACEHOLDER.fullmatch(value)),
    Pattern("secret", ("hooks.slack", "webhook"), re.compile(
        r"hooks\.slack\.com/(?:services|workflows)/(?P<x>[\w/]{20,100})|/api/webhooks/(?P<y>\d{15,20}/[\w-]{50,80})"),
        _any),
    Pattern("secret", _TOKEN_WORDS, re.compile(rf"(?<![A-Za-z0-9_])(?:{_TOKENS})(?![A-Za-z0-9])"), _any),
    Pattern("secret", ("bearer", "authorization"), re.compile(
        r"(?i:\bbearer\s{1,3}|\bauthorization\\*[\"']?\s?[:=]\s?\\*[\"']?(?:basic|token|apikey)\s)"
        r"(?P<x>[A-Za-z0-9._~+/=-]{8,4000})"), _bearer),
    Pattern("secret", _LABEL_WORDS, re.compile(
        rf"{_NO_LABEL}(?i:{_LABELS})\\*[\"']?\s{{0,2}}[:=]\s{{0,2}}"
        r"(?:(?P<q>\\*[\"'])(?P<x>(?:(?!(?P=q))[^\n]){1,400})(?P=q)|(?P<y>[^\s\"'\\,;&<>()\[\]{}]{4,400}))"),
        _labelled),
    Pattern("iban", (), re.compile(rf"(?<![\w-])(?:{_COUNTRIES})(?![\w-])"), _iban),
    Pattern("card", (), re.compile(
        r"(?<![\w.+/-])"
        r"(?:\d{14,16}|\d{4}([ -])\d{4}\1\d{4}\1\d{2,4}|3\d{3}([ -])\d{6}\2\d{4,5}|4\d{12})(?![\w-]|[.:]\d)"),
        _card),
    Pattern("ip", (".",), re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w|\.\d|\.\*)"), _ip4),
    Pattern("ip", ("ip-",), re.compile(r"\bip-(?P<x>\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})(?![\w-])"),
        lambda value, _before, _after: all(int(part) < 256 for part in value.split("-"))),
    Pattern("ip", (":",), re.compile(r"(?<![\w:.-])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])(?!\.\d)"), _ip6),
    Pattern("phone", ("+",), re.compile(
        r"(?<![\w+.:/=-])\+[1-9]\d{0,14}(?:[ ./-]?\(\d{1,5}\)[ ./-]?\d{1,12})?(?:[ ./-]\d{1,12}){0,6}(?![\w-]|:\d)"),
        _phone),
    Pattern("phone", ("-", ".", ")"), re.compile(
        r"(?<![\w.+/-])(?:1[ .-])?"
        r"(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<s>[.-]))[2-9]\d\d(?(s)(?P=s)|[ .-])\d{4}(?![\w-]|\.\d)"),
        _phone),
    Pattern("phone", ("tel", "phone", "mobil", "fax", "handy"), re.compile(
        r"(?i:(?<![A-Za-z])(?:tel|telephone|phone|telefon|mobile?|fax|handy)(?:[ _-]?(?:no|nr|number|nummer))?)"
        r"[.:=\"' ]{1,4}(?P<x>\(?0?\d[\d ()/.-]{5,18}\d)(?![\w-]|:\d)"), _phone),
    Pattern("address", tuple(f" {word.lower()}" for word in _STREETS.split("|")), re.compile(
        rf"(?<![\w.:#/-])\d{{1,5}}[A-Za-z]?\s(?:[NSEW]\.?\s)?(?:{_WORD}\s){{1,3}}(?:{_STREETS})\b\.?{_CITY}"), _any),
    Pattern("address", ("stra", "str.", "weg ", "platz ", "allee ", "gasse "), re.compile(
        rf"\b(?:[{_UP}][\w-]{{1,30}}\s)?(?:[{_UP}][\w-]{{1,40}}(?:straße|strasse|str\.)|[Ss]tr(?:aße|asse|\.))"
        rf"\s?\d{{1,4}}\s?[a-z]?\b{_CITY}"
        rf"|\b[{_UP}][\w-]{{1,40}}(?:weg|platz|allee|gasse)\s\d{{1,4}}\s?[a-z]?,?\s\d{{4,5}}\s{_WORD}"), _any),
    Pattern("address", tuple(f"{word} " for word in _ROUTES.split("|")), re.compile(
        rf"(?<![\w.:/-])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s(?i:{_ROUTES})\s"
        rf"(?:(?:de|du|des|la|le|les|di|del|della|do|da)\s|de\sl['\u2019]|[ld]['\u2019]){{0,2}}{_WORD}(?:\s{_WORD}){{0,2}}{_CITY}"),
        _any),
    Pattern("address", ("box ",), re.compile(r"\b(?i:p\.?\s?o\.?\sbox)\s\d{1,6}\b"), _any),
)  # fmt: skip


def find(text: str, taken: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int, str]]:
    """Return (start, end, category) of what is found in a text, from left to right, none overlapping.

    Examples
    --------
    >>> find("from 203.0.113.9 with chart 1.2.3.4-rc1")
    [(5, 16, 'ip')]
    """
    spans = [(start, end, "") for start, end in taken]
    low = text.lower()
    for category, needs, regex, fits in PATTERNS:
        if needs and not _occurs(needs, low):
            continue
        for match in regex.finditer(text):
            start, last = _span(match)
            for end in _shorter(text, start, last) if category == "phone" else (last,):
                after = bisect.bisect(spans, (start, end, ""))
                if (after < len(spans) and spans[after][0] < end) or (after and spans[after - 1][1] > start):
                    continue
                if fits(text[start:end], text[max(0, start - 60) : start], text[end : end + 12]):
                    spans.insert(after, (start, end, category))
                    break
    return [span for span in spans if span[2]]


def _shorter(text: str, start: int, end: int) -> list[int]:
    """Return the ends that a number may have: other numbers may follow it."""
    return [end, *(start + match.start() for match in reversed(list(re.finditer(r"(?<=\d)[ ./-]", text[start:end]))))]


def _occurs(needs: tuple[str, ...], low: str) -> bool:
    for word in needs:  # noqa: SIM110 (any() with a generator takes three times as long)
        if word in low:
            return True
    return False


def _span(match: re.Match[str]) -> tuple[int, int]:
    groups = match.groupdict()
    name = next((name for name in ("x", "y") if groups.get(name) is not None), None)
    return match.span(name) if name else match.span()
