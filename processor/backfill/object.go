package backfill

import (
	"encoding/json"
)

// object is what is read of a listed object.
type object struct {
	ID            string        `json:"id"`
	Object        string        `json:"object"`
	Created       int64         `json:"created"`
	Status        string        `json:"status"`
	Livemode      *bool         `json:"livemode"` // some objects do not say
	Deleted       bool          `json:"deleted"`
	Customer      reference     `json:"customer"`
	Account       reference     `json:"customer_account"` // the customer, where accounts are customers
	AmountPaid    int64         `json:"amount_paid"`
	VoidedAt      int64         `json:"voided_at"`
	PaymentStatus string        `json:"payment_status"`
	Transaction   transaction   `json:"balance_transaction"`
	Failure       transaction   `json:"failure_balance_transaction"`
	Transactions  []transaction `json:"balance_transactions"`
	LatestCharge  charge        `json:"latest_charge"`
	PaymentIntent intent        `json:"payment_intent"`
	Invoice       invoice       `json:"invoice"`
	StatusChanges struct {
		PaidAt                int64 `json:"paid_at"`
		FinalizedAt           int64 `json:"finalized_at"`
		VoidedAt              int64 `json:"voided_at"`
		MarkedUncollectibleAt int64 `json:"marked_uncollectible_at"`
	} `json:"status_transitions"`
}

// reference is the id of an object that may be expanded, or null.
type reference string

// UnmarshalJSON reads the id, wherever it stands.
func (r *reference) UnmarshalJSON(text []byte) error {
	var o struct{ ID string }
	if err := expanded(text, &o); err != nil || o.ID != "" {
		*r = reference(o.ID)
		return err
	}
	if text[0] == '"' {
		return json.Unmarshal(text, (*string)(r))
	}
	return nil
}

// transaction is a balance transaction that may be expanded, an id or null.
type transaction struct {
	ID      string
	Created int64
	Amount  int64
}

// UnmarshalJSON reads nothing of an id or null.
func (t *transaction) UnmarshalJSON(text []byte) error {
	return expanded(text, (*struct {
		ID      string
		Created int64
		Amount  int64
	})(t))
}

// charge is one that may be expanded, an id or null.
type charge struct {
	Created     int64
	Transaction transaction `json:"balance_transaction"`
}

// UnmarshalJSON reads nothing of an id or null.
func (c *charge) UnmarshalJSON(text []byte) error {
	return expanded(text, (*struct {
		Created     int64
		Transaction transaction `json:"balance_transaction"`
	})(c))
}

// intent is a payment intent that may be expanded, an id or null.
type intent struct {
	LatestCharge charge `json:"latest_charge"`
}

// UnmarshalJSON reads nothing of an id or null.
func (i *intent) UnmarshalJSON(text []byte) error {
	return expanded(text, (*struct {
		LatestCharge charge `json:"latest_charge"`
	})(i))
}

// invoice is one that may be expanded, an id or null.
type invoice struct {
	StatusChanges struct {
		PaidAt int64 `json:"paid_at"`
	} `json:"status_transitions"`
}

// UnmarshalJSON reads nothing of an id or null.
func (i *invoice) UnmarshalJSON(text []byte) error {
	return expanded(text, (*struct {
		StatusChanges struct {
			PaidAt int64 `json:"paid_at"`
		} `json:"status_transitions"`
	})(i))
}

func expanded(text []byte, into any) error {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	return json.Unmarshal(text, into)
}
