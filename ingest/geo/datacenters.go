package geo

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
)

//go:embed datacenters.csv
var datacentersCSV string

const (
	maxDatacenters     = 100_000
	maxDatacentersFile = 4 << 20 // bytes
)

// readDatacenters reads a list of autonomous systems; "" is the built-in one.
func readDatacenters(path string) (map[uint32]bool, error) {
	if path == "" {
		return parseDatacenters(datacentersCSV)
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxDatacentersFile {
		return nil, fmt.Errorf("datacenters: %s is no file of at most %d bytes (hint: lines \"asn,name\")",
			path, maxDatacentersFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("datacenters: %w (hint: may this user read it?)", err)
	}
	list, err := parseDatacenters(string(text))
	if err != nil {
		return nil, fmt.Errorf("datacenters: %s: %w", path, err)
	}
	return list, nil
}

func parseDatacenters(text string) (map[uint32]bool, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment, reader.FieldsPerRecord = '#', 2
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w (hint: lines \"asn,name\")", err)
	}
	list := make(map[uint32]bool, len(rows))
	for i, row := range rows {
		if i == 0 && row[0] == "asn" {
			continue
		}
		asn, err := strconv.ParseUint(row[0], 10, 32)
		switch {
		case err != nil || asn == 0:
			return nil, fmt.Errorf("%q is no number of an autonomous system (hint: 16509, without AS)", row[0])
		case list[uint32(asn)]:
			return nil, fmt.Errorf("%d is listed twice (hint: delete one line)", asn)
		}
		list[uint32(asn)] = true
	}
	if len(list) == 0 || len(list) > maxDatacenters {
		return nil, fmt.Errorf("%d networks (hint: 1 to %d lines \"asn,name\")", len(list), maxDatacenters)
	}
	return list, nil
}
