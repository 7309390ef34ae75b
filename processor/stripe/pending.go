// Stand-in so that the tree compiles: delete this file as soon as keys.go and fact.go declare these.
package stripe

import (
	"time"

	"tributary/schemas"
)

const Settlement = "settlement"

func SettlementOf(kind string) string { return Settlement + "_" + kind }

type Keys struct{ HashEmail func(string) []byte }

func Default() *Keys                                       { return &Keys{} }
func NewKeys(a, b map[string]string) (*Keys, error)        { return &Keys{}, nil }
func (k *Keys) Read(e *schemas.StripeEvent) (Facts, error) { return Read(e) }

type Lead struct {
	Name, ObjectID, CustomerID, SubscriptionID, ExternalID string
	Quantity                                               int64
	At                                                     time.Time
}
