package human

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// sizeUnit is a unit of bytes.
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the units that sizes are written in; the binary ones come first
// and from large to small, for [FormatSize] to choose from.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1},
	}
}

// ParseSize reads a number of bytes: digits and a unit, in any letter case and
// with or without a space between. The error says what is allowed.
func ParseSize(text string) (int64, error) {
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	name := strings.TrimLeft(text[len(digits):], " ")
	for _, unit := range sizeUnits() {
		if !strings.EqualFold(name, unit.name) || digits == "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/unit.bytes {
			return 0, errors.New("too large; allowed: less than 8388608 TiB")
		}
		return n * unit.bytes, nil
	}
	return 0, errors.New("not a size; allowed: a whole number of bytes or with a unit, such as 65536, 64KiB, 16MB or 1GiB")
}

// FormatSize writes a number of bytes so that [ParseSize] reads it back.
func FormatSize(value int64) string {
	for _, unit := range sizeUnits()[:4] {
		if value != 0 && value%unit.bytes == 0 {
			return strconv.FormatInt(value/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(value, 10)
}
