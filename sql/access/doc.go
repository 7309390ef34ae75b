// Package access has the roles of ClickHouse, one file each, which [tributary/sql.Layout.Access]
// renders; its tests show on the embedded engine what each role may do and what it may not.
package access
