// Package schemas says what a record is: the Protobuf messages, the topics that carry them, their
// keys and headers.
package schemas

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size click.proto lead.proto
