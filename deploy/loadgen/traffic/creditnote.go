package traffic

import "time"

// creditRefund reports, of some refunds of an invoice's payment, the credit note by which they were
// made: it names the refund, and moves nothing more. Some name the line of the invoice that is
// given back, and some state their tax, which creditRefund returns: none, or its proportion without
// the fraction. https://docs.stripe.com/api/credit_notes/object
func (s *buyer) creditRefund(p payment, refund string, at time.Time, amount, before int64) (tax int64, stated bool) {
	r := s.w.fate("credit note " + refund)
	if p.invoice == "" || !s.w.opts.Rare || r.IntN(2) == 0 {
		return 0, false
	}
	o := s.creditNoteObject(p, "cn_"+refund[3:], at, amount)
	if lines := s.lines(p); len(lines) > 1 && before == 0 && amount <= p.paid/4 { // no more than the line is of
		o["lines"] = list("/v1/credit_notes/cn_"+refund[3:]+"/lines", object{
			"id": "cnli_" + refund[3:], "object": "credit_note_line_item", "amount": amount, "discount_amounts": []object{},
			"invoice_line_item": lines[len(lines)-1]["id"], "livemode": s.livemode(), "type": "invoice_line_item",
		})
	}
	o["refund"], o["refunds"] = refund, []object{{"amount_refunded": amount, "refund": refund, "type": "refund"}}
	if stated = r.IntN(2) == 0; stated {
		taxes := []object{}
		if p.total > 0 && r.IntN(2) == 0 {
			tax = p.tax * min(amount, p.total) / p.total
			taxes = append(taxes, object{"amount": tax})
		}
		list := "tax_amounts"
		if s.api.since(basil) {
			list = "total_taxes"
		}
		o[list] = taxes
	}
	s.event("credit_note.created", at, o, nil)
	return tax, stated
}

// creditOutside gives a part of some invoices that were paid outside Stripe back there, by a credit
// note. Some of those credit notes are voided. Others credit the customer's balance, which moves
// nothing.
func (s *buyer) creditOutside(p payment) {
	w := s.w
	r := w.fate("credit note " + p.invoice)
	if !w.opts.Rare || r.IntN(2) == 0 {
		return
	}
	at := p.at.Add(around(r, w.opts.Tempo.Refund)).Truncate(time.Second)
	later := at.Add(around(r, w.opts.Tempo.Refund)).Truncate(time.Second)
	amount := max(currencies[p.currency].step, whole(p.paid/4, p.currency))
	if at.After(w.opts.Until) || amount > p.paid {
		return
	}
	id := "cn_1" + w.hashed(23, "credit note", p.invoice)
	o := s.creditNoteObject(p, id, at, amount)
	if r.IntN(4) == 0 {
		o["credit_amount"], o["customer_balance_transaction"] = amount, "cbtxn_"+id[3:]
		s.event("credit_note.created", at, o, nil)
		s.deliver()
		return
	}
	o["out_of_band_amount"] = amount
	s.event("credit_note.created", at, o, nil)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Refund, Amount: -amount, OccurredAt: at})
	if r.IntN(2) == 0 || later.After(w.opts.Until) {
		return
	}
	void := s.creditNoteObject(p, id, at, amount)
	void["out_of_band_amount"], void["status"], void["voided_at"] = amount, "void", unix(later)
	s.event("credit_note.voided", later, void, object{"status": "issued", "voided_at": nil})
	s.deliver()
	s.move(p, Movement{Object: id, Kind: RefundReversal, Amount: amount, OccurredAt: later})
}

// creditNoteObject is a credit note of a paid invoice, before it says how the money is given back.
func (s *buyer) creditNoteObject(p payment, id string, at time.Time, amount int64) object {
	return object{
		"id": id, "object": "credit_note", "amount": amount, "created": unix(at), "credit_amount": 0,
		"currency": p.currency, "customer": s.customerID(), "customer_account": s.customerAccount(),
		"customer_balance_transaction": nil, "invoice": p.invoice, "livemode": s.livemode(), "metadata": object{},
		"out_of_band_amount": 0, "post_payment_amount": amount, "pre_payment_amount": 0, "reason": "order_change",
		"refund": nil, "refunds": []object{}, "status": "issued", "total": amount, "type": "post_payment",
		"voided_at": nil,
	}
}
