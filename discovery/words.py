"""Words that name the columns of order files, in eleven languages.

A name only suggests what a column is: values decide (column_roles.py). Names are compared without
case, accents and punctuation.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "is_known_name",
    "is_no_sale",
    "is_paid_flag",
    "is_payment",
    "is_refunded",
    "is_return",
    "is_returned_quantity",
    "rate_name",
]

# role -> words: English | German | French | Spanish | Italian | Portuguese | Dutch | Polish |
# Turkish | Chinese | Japanese
_WORDS = {
    "customer": """
        customerid customer customerno customernumber custid clientid client userid user
        memberid member
        accountid account buyerid buyer shopper householdid householdkey contactid card
        cardnumber cardno loyaltycard
        loyaltyid userpseudoid uid cid
        | kunde kundennummer kundennr kundenid debitor besteller käufer mitgliedsnummer
        | numéroclient noclient codeclient idclient acheteur | cliente idcliente
        codigocliente númerocliente
        comprador | codicecliente acquirente | códigodocliente númerodocliente
        | klant klantnummer klantnr klantid | klient idklienta numerklienta nabywca kupujący
        | kundenr kundenummer kund kundnr kundnummer
        | müşteri müşterino müşteriid müşterikodu alıcı
        | 客户 客户编号 客户号 客户id 顾客 顾客id 会员 会员编号 会员id 会员号 买家 买家id 买家昵称
        用户 用户id
        | 顧客 顧客id 顧客番号 顧客コード 会員 会員id 会員番号 お客様番号 購入者
    """,
    "email": """
        email customeremail emailaddress buyeremail billingemail useremail mail
        | emailadresse | adresseemail courriel adressemail | correo correoelectrónico |
        indirizzoemail
        | correioeletrônico | emailadres | adresemail | eposta epostaadresi | 邮箱 电子邮件 电子邮箱
        | メール メールアドレス
    """,
    "ordered_at": """
        orderedat ordered orderdate dateordered ordertime datetime date day invoicedate
        created createdat datecreated
        createddate creationdate purchasedate purchasetimestamp purchasedat timestamp
        transactiondate transactiontime
        transactiontimestamp orderpurchasetimestamp ts dt saledate salesdate
        eventtimestamp orderdatetime placedat time
        | bestelldatum datum auftragsdatum rechnungsdatum kaufdatum belegdatum zeitpunkt bestellzeit
        | datecommande datedecommande dateachat datefacture dateheure | fecha fechapedido
        fechadepedido fechacompra
        fechaventa fechafactura | data dataordine datadellordine datafattura dataacquisto
        | datapedido datadopedido
        datacompra datadacompra datavenda | besteldatum orderdatum factuurdatum aankoopdatum
        | datazamówienia datazakupu datasprzedaży datafaktury | tarih sipariştarihi
        satıştarihi faturatarihi işlemtarihi
        | 日期 下单时间 订单日期 订单时间 订单创建时间 创建时间 交易时间 购买日期 付款时间
        | 日付 注文日 注文日時 購入日 購入日時 受注日 受注日時 売上日
    """,
    "time": """
        time ordertime hour | uhrzeit zeit | heure | hora | ora | horário | tijd | godzina
        czas | saat | 时间 | 時刻 時間
    """,
    "order_id": """
        orderid order orderno ordernumber orderreference orderref invoiceno invoice
        invoiceid invoicenumber
        transactionid transaktionscode transaction basketid receiptid receipt
        receiptno receiptnumber
        billno documentno docno documentnumber
        | bestellnummer bestellnr bestellung auftragsnummer auftragsnr auftrag
        rechnungsnummer rechnungsnr belegnummer
        | numérocommande numérodecommande nocommande commande idcommande numérofacture |
        pedido idpedido númeropedido
        númerodepedido nropedido factura númerofactura | ordine idordine numeroordine numerofattura
        | númerodopedido notafiscal | bestelling bestelnummer ordernummer factuurnummer bonnummer
        | zamówienie numerzamówienia idzamówienia nrzamówienia numerfaktury paragon
        | ordre ordrenr ordrenummer faktura fakturanr fakturanummer bonnr | ordernr kvittonr
        | sipariş siparişno siparişnumarası siparişid faturano fişno
        | 订单 订单号 订单编号 订单id 交易号 | 注文番号 注文id 注文no 受注番号 伝票番号 取引番号
    """,
    "product": """
        productid product productcode sku stockcode item itemid itemsku itemcode itemname
        productname article articleid
        articleno asin ean upc variantid
        | artikel artikelnummer artikelnr produkt produktnummer bezeichnung | produit
        référence réf codeproduit
        article codearticle | producto idproducto referencia códigoproducto artículo |
        prodotto idprodotto
        codiceprodotto codicearticolo | produto códigodoproduto idproduto | product artikelcode
        | vare varenr varenummer varunr varunummer | produkt kodproduktu towar indeks
        | ürün ürünkodu ürünid stokkodu barkod
        | 商品 商品编号 商品编码 商品id 产品 货号 商品名称 | 商品コード 商品番号 商品id 商品名
        品番 jan
    """,
    "category": """
        category productcategory department commodity producttype | kategorie warengruppe
        | catégorie rayon famille
        | categoría | categoria reparto | categoria | categorie productgroep | kategoria |
        kategori | 类别 分类 品类
        | カテゴリ カテゴリー 分類
    """,
    "channel": """
        channel saleschannel store storeid storename shop location branch | kanal
        vertriebskanal filiale
        | canal magasin boutique | canal tienda | canale negozio | canal loja | kanaal
        winkel filiaal | kanał sklep
        | kanal mağaza şube | 渠道 店铺 门店 | チャネル 店舗
    """,
    "quantity": """
        quantity qty units count pieces itemquantity lineitemquantity quantitypurchased
        unitssold numberofitems
        | menge anzahl stück stückzahl | quantité qté | cantidad unidades cant | quantità
        qtà | quantidade qtd qtde
        | aantal hoeveelheid | ilość szt sztuk | adet miktar | 数量 件数 | 数量 個数 点数
    """,
    "amount": """
        amount total totalamount linetotal linetotalamount itemtotal totalprice revenue
        sales salesvalue salesamount spend
        netamount grossamount paymentvalue value dollarvalue ordertotal ordervalue
        orderamount grandtotal netsales
        grosssales subtotal amt val price unitprice itemprice purchaserevenue turnover
        paid amountpaid extendedprice
        | betrag gesamtbetrag gesamt summe gesamtsumme umsatz bruttobetrag nettobetrag
        preis einzelpreis stückpreis
        gesamtpreis rechnungsbetrag endbetrag positionswert warenwert
        | montant montanttotal montantttc montantht totalttc totalht prix prixunitaire
        chiffredaffaires ca
        | importe importetotal monto montototal precio preciounitario valortotal ventas ingresos
        | importo totale importototale prezzo prezzounitario ricavo fatturato
        | valor valortotal preço preçounitário montante receita
        | bedrag totaalbedrag totaal prijs stukprijs eenheidsprijs omzet
        | beløb beløbialt beløp totalbeløp belopp totalbelopp
        | kwota kwotacałkowita wartość suma razem cena cenajednostkowa obrót
        | tutar toplam toplamtutar genel toplamfiyat fiyat birimfiyat ciro
        | 金额 总金额 订单金额 实付金额 实收金额 总价 单价 价格 销售额 支付金额
        | 金額 合計 合計金額 請求金額 売上 売上金額 単価 価格 支払金額 小計
    """,
    "discount": """
        discount discountamount retaildisc rebate promotiondiscount | rabatt nachlass |
        remise rabais réduction
        | descuento | sconto | desconto | korting | rabat zniżka | indirim | 折扣 优惠 优惠金额 |
        割引 値引 割引額
    """,
    "cost": """
        cost cogs costprice unitcost costofgoods purchaseprice | kosten einkaufspreis ek
        wareneinsatz | coût prixachat
        | coste costo | costo | custo | kostprijs inkoopprijs | koszt cenazakupu | maliyet
        | 成本 | 原価 仕入
    """,
    "refund": """
        refund refunded refundamount refundedamount amountrefunded refundedtotal
        totalrefunded refundtotal totalrefund totalrefunds returnedamount
        | erstattung erstattet erstattungsbetrag gutschrift rückerstattung | remboursement
        remboursé montantremboursé
        | reembolso reembolsado importereembolsado | rimborso rimborsato | reembolsado
        estorno | terugbetaling
        terugbetaald | zwrot kwotazwrotu | iade iadetutarı | 退款 退款金额 | 返金 返金額
    """,
    "shipping": """
        shipping shippingcost shippingcosts shippingamount shippingtotal shippingprice
        shippingfee freight freightvalue postage deliverycost deliveryfee handling
        | versand versandkosten porto lieferkosten | livraison fraisdeport fraisdelivraison
        | envío gastosdeenvío costeenvío | spedizione spesedispedizione | frete envio
        | verzending verzendkosten | wysyłka kosztwysyłki | kargo kargoücreti | 运费 | 送料
    """,
    "status": """
        status state orderstatus paymentstatus financialstatus transactionstatus eventtype type
        | zustand bestellstatus zahlungsstatus | statut état statutcommande | estado
        estadopedido estatus
        | stato statoordine | situação estado statusdopedido | bestelstatus betaalstatus |
        stan statuszamówienia
        | durum siparişdurumu ödemedurumu | 状态 订单状态 交易状态 支付状态 | ステータス 状態
        注文状況 受注状態
    """,
    "currency": """
        currency currencycode ordercurrency currencyiso | währung | devise monnaie |
        moneda divisa | valuta | moeda
        | munteenheid | waluta | para birimi dövizcinsi | 币种 货币 | 通貨
    """,
}
# money that is no order's amount
_OTHER_MONEY = """
    tax taxes vat salestax tip fee fees shipping freight freightvalue shippingtotal handling
    balance net payout commission
    weight rate points rating score age year month zip postcode phone latitude longitude
    mwst ust steuer versand versandkosten gebühr tva taxe livraison frais iva envío comisión
    imposta spedizione imposto
    frete btw verzending verzendkosten podatek wysyłka kdv kargo 税 税额 运费 手续费 税額 消費税
    送料 手数料
"""
# dates of something else than the order
_OTHER_DATES = """
    shipped shipping delivered delivery paid updated modified birth due cancelled canceled
    refund refunded estimated
    expected approved carrier closed versand liefer geburt bezahlt livraison expédition
    naissance entrega envío nascimento
    spedizione consegna bezorg verzend wysyłki dostawy teslimat kargo 发货 收货 配送 発送 出荷
"""
_NO_SALE_WORDS = """
    cancel cancelled canceled void voided failed failure declined denied pending expired
    unpaid draft abandoned test
    rejected incomplete authorized uncollectible onhold refused invalid blocked error
    awaitingpayment awaitingcapture fraud trash
    storniert abgebrochen offen fehlgeschlagen abgelehnt ausstehend annulliert unbezahlt
    annulé annulée échoué échouée refusé refusée enattente brouillon impayé
    cancelado cancelada anulado anulada fallido rechazado pendiente impagado
    annullato annullata fallito rifiutato inattesa cancellato
    pendente falhou recusado rejeitado nãopago aguardandopagamento
    geannuleerd mislukt geweigerd inafwachting openstaand
    annulleret afbestilt annullert avbestilt annullerad avbeställd
    anulowane anulowany anulowano odrzucone nieopłacone oczekujące
    iptal iptaledildi başarısız beklemede reddedildi ödenmedi
    已取消 取消 关闭 交易关闭 已关闭 待付款 等待买家付款 失败 未付款 キャンセル 取消済 失敗 未払い
    未入金 保留
"""
# what is given back; a participle (refunded) is of the order that was bought
_RETURN_WORDS = """
    return returns refund refunds creditnote creditmemo chargeback returnorder salesreturn
    retoure retouren rückgabe rücksendung erstattung rückerstattung gutschrift storno
    remboursement avoir notedecrédit devolución devoluciones reembolso notadecrédito
    reso resi rimborso notadicredito devolução estorno notadecrédito
    retour retouren terugbetaling creditnota zwrot korekta iade iadefaturası
    退货 退款 退貨 返品 返金
"""
_REFUNDED_WORDS = """
    refunded returned estornado estornada stornato stornata
    erstattet rückerstattet zurückerstattet retourniert zurückgesendet remboursé remboursée
    retourné retournée reembolsado reembolsada devuelto devuelta rimborsato rimborsata restituito
    devolvido devolvida terugbetaald geretourneerd zwrócono zwrócone iadeedildi 已退款 返金済
"""
# with one of these before it, a return is of a part of an order, or to come
_PARTLY_WORDS = """
    partial partially partly pending requested teilweise teil partiel partielle partiellement
    parcial parcialmente parziale parzialmente gedeeltelijk częściowo częściowy kısmi 部分 一部
"""
_PAID_WORDS = """
    paid ispaid captured iscaptured bezahlt payé pagado pagada pagato pago betaald opłacone
    zapłacone ödendi 已付款 支払済
"""
_PAYMENT_WORDS = """
    payment payments pay tender installment installments zahlung zahlart zahlungsart paiement pago
    pagos pagamento betaling betaalmethode płatność ödeme 支付 付款 支払
"""
_LETTERS = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "æ": "ae", "đ": "d", "°": "o"})


def normalize_word(text: str) -> str:
    """A name without case, accents, punctuation and spaces.

    >>> normalize_word("Numéro de commande")
    'numerodecommande'
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(c for c in plain if c.isalnum())


def _split(words: str) -> frozenset[str]:
    return frozenset(normalize_word(word) for word in words.replace("|", " ").split())


_ROLES = {role: _split(words) for role, words in _WORDS.items()}
_ALL = frozenset().union(*_ROLES.values())
_NO_SALE = _split(_NO_SALE_WORDS)
_RETURNS = _split(_RETURN_WORDS)
_REFUNDED = _split(_REFUNDED_WORDS)
_PARTLY = _split(_PARTLY_WORDS)
_PAID = _split(_PAID_WORDS)
_PAYMENTS = _split(_PAYMENT_WORDS)
# role -> words of other things that are called alike
_OTHERS = {
    "amount": _split(_OTHER_MONEY),
    "cost": _split(_OTHER_MONEY) | _ROLES["shipping"],
    "ordered_at": _split(_OTHER_DATES),
    "quantity": _RETURNS | _REFUNDED | _ROLES["discount"],
}
_KNOWN = _ALL.union(*_OTHERS.values())


def is_known_name(name: str) -> bool:
    """Whether a column has a name that is usual in order files."""
    return normalize_word(name) in _ALL


def rate_name(name: str, role: str) -> float:
    """How well a name fits a role: 3 the very word, 1 to 2 a part of it, 0 not, -1 another thing.

    >>> [rate_name(n, "amount") for n in ("Betrag", "Order total (EUR)", "Sales tax", "Colour")]
    [3, 2, -1, 0]
    """
    plain, words = normalize_word(name), _ROLES[role]
    if plain in words:
        return 3
    parts = [normalize_word(part) for part in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)]
    parts = [part for part in parts if part]
    if role in _OTHERS and any(part in _OTHERS[role] for part in (*parts, plain)):
        return -1
    for length in range(len(parts), 0, -1):
        for start in range(len(parts) - length + 1):
            if "".join(parts[start : start + length]) in words:
                return 2 if length > 1 or len(parts) == 1 else 1
    return 1 if any(_stands_in(word, plain) and not _is_cut(word, plain) for word in words) else 0


def _stands_in(word: str, name: str) -> bool:
    return len(word) > (4 if word.isascii() else 1) and word in name


def _is_cut(word: str, name: str) -> bool:
    """Whether a word is but a piece of another in the name: count in discount."""
    return any(word in other and word != other and other in name for other in _KNOWN)


def is_no_sale(value: str) -> bool:
    """Whether a status sounds like an order that never became a sale.

    >>> [is_no_sale(v) for v in ("Cancelled", "partially_refunded", "wc-failed", "Paid")]
    [True, False, True, False]
    """
    parts = [normalize_word(part) for part in re.split(r"[\W_]+", value)]
    return normalize_word(value) in _NO_SALE or any(part in _NO_SALE for part in parts)


def is_return(value: str) -> bool:
    """Whether a line's type says that money was given back; the status of an order does not.

    >>> [is_return(v) for v in ("Return", "Payment Refund", "Retoure", "refunded", "Sale")]
    [True, True, True, False, False]
    """
    parts = [normalize_word(part) for part in re.split(r"[\W_]+", value)]
    if any(part in _PARTLY for part in parts):
        return False
    return normalize_word(value) in _RETURNS or any(part in _RETURNS for part in parts)


def is_refunded(value: str) -> bool:
    """Whether a status says that an order was bought, and given back wholly or in part.

    >>> [is_refunded(v) for v in ("refunded", "Partially refunded", "Erstattet", "Refund", "Paid")]
    [True, True, True, False, False]
    """
    parts = [normalize_word(part) for part in re.split(r"[\W_]+", value)]
    words = _REFUNDED | _RETURNS if any(part in _PARTLY for part in parts) else _REFUNDED
    return normalize_word(value) in words or any(part in words for part in parts)


def is_returned_quantity(name: str) -> bool:
    """Whether a column's name says how many pieces came back, or were not sent.

    >>> [is_returned_quantity(n) for n in ("Returned qty", "Retourmenge", "Qty", "Return date")]
    [True, True, False, False]
    """
    plain = normalize_word(name)
    gives_back = any(len(w) > 3 and w in plain for w in _RETURNS | _REFUNDED | _NO_SALE - {"test"})
    return gives_back and any(len(w) > 2 and w in plain for w in _ROLES["quantity"] - {"count"})


def is_paid_flag(name: str) -> bool:
    """Whether a column of yes and no says by its name whether an order was paid."""
    return normalize_word(name) in _PAID


def is_payment(name: str) -> bool:
    """Whether a column's name says that it is of a payment.

    >>> [is_payment(name) for name in ("payment_type", "Zahlart", "colour")]
    [True, True, False]
    """
    parts = [normalize_word(part) for part in re.split(r"[\W_]+", name)]
    return normalize_word(name) in _PAYMENTS or any(part in _PAYMENTS for part in parts)
