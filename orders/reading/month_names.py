"""Names of months in the languages of exports, made English for strptime.

No word is of two months in these languages. In Croatian, which is not among them, `lip` and `lis`
are June and October, and July and November in Polish: a Croatian file is refused for its other
months, one of these two months alone would be read as Polish.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["MONTH_WORD", "translate_months"]

MONTH_WORD = r"[^\W\d_]{3,}\.?"
_ENGLISH = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
# German | French | Spanish | Italian | Portuguese | Dutch | Polish | Turkish; twelve each
_NAMES = (
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jan feb mär apr mai jun jul aug sep okt nov dez",
    "jän - mrz - - - - - sept - - -",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "janv févr mars avr mai juin juil août sept oct nov déc",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "ene feb mar abr may jun jul ago sept oct nov dic",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "gen feb mar apr mag giu lug ago set ott nov dic",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "jan fev mar abr mai jun jul ago set out nov dez",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada"
    " grudnia",
    "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad"
    " grudzień",
    "sty lut mar kwi maj cze lip sie wrz paź lis gru",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "oca şub mar nis may haz tem ağu eyl eki kas ara",
)
_MONTHS = {
    word: k
    for names in (*_NAMES, " ".join(_ENGLISH).lower(), " ".join(n[:3] for n in _ENGLISH).lower())
    for k, word in enumerate(names.split())
    if word != "-"
}


def translate_months(cells: pa.StringArray, date_format: str) -> pa.StringArray:
    """The cells with the names of months in English, as `%b` or `%B` of the format wants them.

    >>> translate_months(pa.array(["5 févr. 2024", "5 Words"]), "%d %b %Y").to_pylist()
    ['5 Feb 2024', '5 Words']
    """
    length = 3 if "%b" in date_format else None

    def translate(found: re.Match[str]) -> str:
        word = found[0].rstrip(".").replace("İ", "i")
        month = _MONTHS.get(word.lower(), _MONTHS.get(word.replace("I", "ı").lower()))
        return found[0] if month is None else _ENGLISH[month][:length]

    texts = [
        None if text is None else re.sub(MONTH_WORD, translate, text) for text in cells.to_pylist()
    ]
    return pc.replace_substring_regex(pa.array(texts, pa.string()), r" +", " ")
