package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSONFault says where a file of JSON values cannot be read on. err is one of decoder.Decode, which
// began to read behind the file's first before bytes.
func JSONFault(decoder *json.Decoder, before int64, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the file ends within the value that begins behind byte %d (hint: it is cut short; fetch it again)",
			before+decoder.InputOffset())
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: %w (hint: this is no JSON; is the file changed, compressed or cut short?)",
			before+syntax.Offset, err)
	}
	return err
}
