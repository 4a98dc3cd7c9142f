"""Words of exports: values that mean no sale or no customer, currencies, names of columns.

In the languages of the shops that exports come from; matched without regard to case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from .. import words
from ..words import is_paid_flag

__all__ = [
    "find_currency_mark",
    "find_no_sales",
    "is_common_currency",
    "is_currency_code",
    "is_currency_column",
    "is_flag_column",
    "is_flag_value",
    "is_no_customer",
    "is_no_sale",
    "is_person_column",
    "is_placeholder",
    "is_sale",
    "is_status_column",
    "is_total",
    "is_true",
    "normalize",
]

_SURE_NAME = 2  # of a name: more than a part of it is a word for a status
_STATUS_SHARE = 0.6  # of a column's cells that say sale or no sale: it is a status
_NO_SALE_STEMS = (
    *("cancel", "void", "fail", "declin", "refused", "reject", "expire", "abandon", "denied"),
    *("charged back", "chargeback", "unpaid", "not paid", "trash", "fraud", "error"),
    *("storn", "abgebroch", "fehlgeschlag", "abgelehnt", "unbezahlt", "verfallen"),
    *("annul", "échou", "echou", "refusé", "impay", "abandonn", "expiré"),
    *("anulad", "fallid", "rechazad", "caducad", "vencid", "falhou", "recusad", "fallit"),
    *(
        "rifiutat",
        "scadut",
        "erreur",
        "errore",
        "fehler",
        "uncollectible",
        "geannuleerd",
        "mislukt",
        "anulow",
        "nieudan",
        "odrzucon",
    ),
    *("iptal", "başarısız", "reddedil"),
)
_WAITING_STEMS = (
    *("pending", "awaiting payment", "payment required", "on hold", "draft", "incomplete"),
    *("ausstehend", "wartet auf zahlung", "zahlung offen", "en attente", "pendiente", "pendente"),
    *("in attesa", "in afwachting", "oczekuj", "beklemede", "test"),
)
_NO_SALE_SIGNS = "取消|失败|失敗|已关闭|作废|拒绝|キャンセル|エラー"
_WAITING_SIGNS = "待付款|未付款|未払|保留"
_SALE_STEMS = (
    *("complete", "paid", "ship", "deliver", "process", "fulfil", "refund", "success", "succeed"),
    *("approved", "captured", "settled", "closed", "returned", "active", "received", "accepted"),
    *("bezahlt", "versendet", "versandt", "abgeschlossen", "geliefert", "erledigt", "erstattet"),
    *("payé", "expédi", "livré", "terminé", "rembours", "pagad", "enviad", "entreg", "completad"),
    *("spedit", "consegn", "pagat", "conclu", "betaald", "verzonden", "geleverd", "afgerond"),
    *("zapłacon", "wysłan", "dostarczon", "zrealizowan", "ödendi", "tamamland", "teslim"),
)
_SALE_SIGNS = "已完成|已付款|已发货|完了|発送済|支払済"

_STATUS_NAME = re.compile(
    "status|statut|estado|stato|staat|zustand|durum|status|état|situa[cç]|financial|"
    r"\bstate\b|_state$|^state$|状态|狀態|ステータス|result|outcome|captured"
)
_DELIVERY_NAME = re.compile(
    "fulfil|ship|deliver|versand|liefer|livraison|env[ií]o|entrega|spedizione"
)
_STATE_OF_COUNTRY = re.compile("province|billing.?state|shipping.?state|address.?state")
_FLAG_NAME = re.compile(
    r"^(is[ _])?(test|cancel+ed|void(ed)?|deleted|storniert|fraud)([ _](order|mode))?$"
)
_CURRENCY_NAME = re.compile(
    r"curr|^cur$|^ccy$|währ|waehr|devise|moned|moeda|valut|walut|para.?birim|货币|币种|通貨"
)
_PERSON_NAME = re.compile(
    "mail|customer|client|account|loyalty|card.?no|cookie|device|visitor|subscriber|contact|person|"
    "kund|user|buyer|member|phone|käufer|acheteur|comprador|acquirente|"
    "klant|müşteri|klient|telefon|客户|顧客|买家"
)
_NO_PERSON_NAME = re.compile(
    "type|group|segment|note|status|country|city|state|province|tag|lang|agent|since|date|"
    r"zip|post|street|address|comment|service|count|orders|total|value|price|\bip\b|_at$"
)

# labels for nobody as a whole
_PLACEHOLDERS = frozenset(
    {
        *("-", "--", "---", ".", "?", "x", "xx", "xxx", "-1", "n.n.", "nn", "n.a.", "pos", "na"),
        *("none", "notset", "walkincustomer", "cashcustomer"),
        *("customer", "no name", "noname", "walk-in", "walk in", "walk-in customer", "not set"),
        *("(not set)", "not available", "undefined", "retail customer", "laufkundschaft"),
        *("gastkonto", "barverkauf", "client de passage", "invite", "cliente generico"),
        *("cliente genérico", "público en general", "publico en general", "consumidor final"),
        *("cliente final", "desconhecido", "gość", "nieznany", "bilinmeyen"),
        *("游客", "匿名", "散客", "ゲスト", "不明"),
    }
)
# words for nobody, also beside one of a role: guest checkout, unknown_customer
_NOBODY = frozenset(
    {
        *("guest", "guests", "anonymous", "anon", "unknown", "nobody", "walkin", "dummy", "test"),
        *("unregistered", "visitor", "default", "cash", "placeholder", "gast", "anonym"),
        *("unbekannt", "laufkunde", "invité", "anonyme", "inconnu", "invitado", "anónimo"),
        *("desconocido", "ospite", "anonimo", "sconosciuto", "convidado", "onbekend", "misafir"),
    }
)
_ROLES = frozenset(
    {
        *("customer", "customers", "user", "users", "account", "checkout", "buyer", "client"),
        *("shopper", "order", "orders", "sale", "sales", "id", "person", "member", "email"),
        *("no", "not", "registered", "kunde", "konto", "bestellung", "cliente", "the"),
    }
)
_PLACEHOLDER_MAIL = re.compile(
    r"^(no-?reply|guest|anonymous|unknown|nobody|none|noemail|no-?email|test|dummy|pos)@"
)
_TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "overall total", "sum", "sub total", "subtotal"),
        *("summe", "gesamt", "gesamtsumme", "endsumme", "somme", "total général", "suma", "totale"),
        *("total general", "total geral", "totaal", "razem", "łącznie", "toplam", "genel toplam"),
        *("合计", "总计", "總計", "合計", "総計"),
    }
)

_SIGNS = {"€": "EUR", "£": "GBP", "¥": "¥", "₹": "INR", "$": "$", "zł": "PLN", "kr": "kr"}
_SIGNS |= {"r$": "BRL", "us$": "USD", "a$": "AUD", "c$": "CAD", "₺": "TRY", "₽": "RUB", "₩": "KRW"}
_SIGNS |= {"usd": "USD", "chf": "CHF", "fr.": "CHF", "kč": "CZK", "ft": "HUF", "lei": "RON"}
_CODES = frozenset(
    {
        *("AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP"),
        *("CZK", "DKK", "EGP", "EUR", "GBP", "HKD", "HRK", "HUF", "IDR", "ILS", "INR"),
        *("ISK", "JPY", "KES", "KRW", "KWD", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD"),
        *("OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK"),
        *("SGD", "THB", "TND", "TRY", "TWD", "UAH", "USD", "UYU", "VND", "ZAR"),
    }
)
_COMMON_CODES = frozenset({"EUR", "USD", "GBP", "JPY", "CHF", "CAD", "AUD", "SEK", "PLN", "CNY"})
_YES = frozenset(
    ["true", "yes", "y", "1", "t", "ja", "oui", "si", "sí", "sim", "tak", "evet", "是"],
)
_NO = frozenset(
    ["false", "no", "n", "0", "f", "nein", "non", "não", "nee", "nie", "hayır", "否"],
)
_MARK = re.compile(r"^[-+(\s]*([^\d\s.,()+-][^\d\s,()+-]*)|([^\d\s.,()+-]+)[)\s-]*$")


def normalize(value: str) -> str:
    """A cell as it is compared: without case, signs for spaces, and the space around it.

    >>> normalize(" On-Hold ")
    'on hold'
    """
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    return re.sub(r"[\s_-]+", " ", folded) if len(folded) > 3 else folded


def is_no_sale(value: str, column: str) -> bool:
    """Whether a status says that an order is none: cancelled, failed, voided, pending, test.

    What waits for its delivery is sold, so words of waiting do not count in columns of delivery.

    >>> is_no_sale("Cancelled by buyer", "Status"), is_no_sale("pending", "Fulfillment Status")
    (True, False)
    """
    text = normalize(value)
    if _begins_a_word(text, _NO_SALE_STEMS) or re.search(_NO_SALE_SIGNS, text):
        return True
    if _DELIVERY_NAME.search(column.casefold()):
        return False
    is_waiting = _begins_a_word(text, _WAITING_STEMS) or bool(re.search(_WAITING_SIGNS, text))
    return is_waiting or words.is_no_sale(value)


def is_sale(value: str) -> bool:
    """Whether a status says that an order was placed, paid, sent or refunded."""
    text = normalize(value)
    return _begins_a_word(text, _SALE_STEMS) or bool(re.search(_SALE_SIGNS, text))


def _begins_a_word(text: str, stems: tuple[str, ...]) -> bool:
    return any(text.startswith(stem) or f" {stem}" in text for stem in stems)


def find_no_sales(column: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The values of a column that say that an order is none, with their lines."""
    filled = {value: count for value, count in counts.items() if value}
    if is_flag_column(column):
        return {v: n for v, n in filled.items() if is_true(v)}
    if is_paid_flag(column) and all(map(is_flag_value, filled)):
        return {v: n for v, n in filled.items() if not is_true(v)}
    no_sales = {v: n for v, n in filled.items() if is_no_sale(v, column)}
    if is_status_column(column):
        return no_sales
    sales = sum(n for v, n in filled.items() if v not in no_sales and is_sale(v))
    status_share = (sales + sum(no_sales.values())) / max(1, sum(filled.values()))
    return no_sales if sales and status_share >= _STATUS_SHARE else {}


def is_status_column(name: str) -> bool:
    """Whether a column's name says that it holds an order's status."""
    lower = name.casefold()
    is_named = _STATUS_NAME.search(lower) or (
        words.rate_name(name, "status") >= _SURE_NAME and "type" not in lower
    )
    return bool(is_named) and not _STATE_OF_COUNTRY.search(lower)


def is_flag_column(name: str) -> bool:
    """Whether a column's name says that true means no sale, such as is_test."""
    return bool(_FLAG_NAME.match(name.casefold()))


def is_currency_column(name: str) -> bool:
    """Whether a column's name says that it holds a currency."""
    return bool(_CURRENCY_NAME.search(name.casefold()))


def is_person_column(name: str) -> bool:
    """Whether a column's name says that it tells people apart."""
    lower = name.casefold()
    return bool(_PERSON_NAME.search(lower)) and not _NO_PERSON_NAME.search(lower)


def is_no_customer(label: str) -> bool:
    """Whether a customer id seems to mean nobody: a word for it, or zeros."""
    return is_placeholder(label) or set(label.strip()) == {"0"}


def is_placeholder(label: str) -> bool:
    """Whether a customer id is a word for nobody, in itself: guest, anonymous, noreply@...

    >>> is_placeholder("Guest"), is_placeholder("GUEST_USER"), is_placeholder("Guest House Ltd")
    (True, True, False)
    """
    text = unicodedata.normalize("NFKC", label).casefold().strip()
    if text in _PLACEHOLDERS or _PLACEHOLDER_MAIL.match(text):
        return True
    words = set(re.findall(r"[^\W_]+", text))
    return bool(words & _NOBODY) and words <= _NOBODY | _ROLES


def is_true(value: str) -> bool:
    """Whether a cell of a flag says yes: true, 1, 1.0, ja, ..."""
    return _spell_whole(value) in _YES


def is_flag_value(value: str) -> bool:
    """Whether a cell says yes or no."""
    return _spell_whole(value) in _YES | _NO


def _spell_whole(value: str) -> str:
    return re.sub(r"^([01])[.,]0+$", r"\1", normalize(value))


def is_total(label: str) -> bool:
    """Whether a cell is a word for a total."""
    return normalize(label).rstrip(":") in _TOTALS


def is_currency_code(value: str) -> bool:
    """Whether a cell is the code of a currency, such as EUR."""
    return value.strip().upper() in _CODES


def is_common_currency(value: str) -> bool:
    """Whether a cell is the code of one of the currencies that most exports have."""
    return value.strip().upper() in _COMMON_CODES


def find_currency_mark(cell: str) -> str:
    """The currency that an amount is written with: its code, or its sign where several use it.

    >>> find_currency_mark("€ 1,234.00"), find_currency_mark("5.00 USD"), find_currency_mark("5.00")
    ('EUR', 'USD', '')
    """
    match = _MARK.search(cell.strip())
    if match is None:
        return ""
    mark = (match[1] or match[2]).strip()
    if is_currency_code(mark):
        return mark.upper()
    return _SIGNS.get(mark.casefold(), "")
