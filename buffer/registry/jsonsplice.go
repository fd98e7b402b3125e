package registry

import "strings"

// entryJSON is the Session JSON in a value of the object layout, whether it is
// there as an object or as a string; "" if there is none.
func entryJSON(value string) string {
	raw, _, ok := jsonMember(value)
	if !ok {
		return ""
	}
	return scalar(raw).text
}

// spliceJSON is a value of the object layout whose Session JSON is another. It
// is the same byte for byte where the two do not differ, as the producer has
// written it. It fails if the value does not hold the old one.
func spliceJSON(value, old, updated string) (string, bool) {
	raw, at, ok := jsonMember(value)
	if !ok || scalar(raw).text != old {
		return "", false
	}
	replacement := updated
	if raw[0] == '"' {
		if replacement, ok = spliceString(raw, old, updated); !ok {
			return "", false
		}
	}
	return value[:at] + replacement + value[at+len(raw):], true
}

// jsonMember finds the Session JSON, raw; of two the last counts.
func jsonMember(value string) (raw string, at int, ok bool) {
	err := scanObject(value, func(key, found string, i int) {
		if key == propJSON {
			raw, at, ok = found, i, true
		}
	})
	return raw, at, ok && err == nil
}

var jsonQuoter = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// spliceString is a raw JSON string that stands for another text, with its
// escapes as they were where the texts do not differ. It fails where they
// differ in what would need more than a backslash.
func spliceString(raw, old, updated string) (string, bool) {
	head := 0
	for head < min(len(old), len(updated)) && old[head] == updated[head] {
		head++
	}
	tail := 0
	for tail < min(len(old), len(updated))-head && old[len(old)-1-tail] == updated[len(updated)-1-tail] {
		tail++
	}
	from, to := rawIndex(raw, head), rawIndex(raw, len(old)-tail)
	middle := updated[head : len(updated)-tail]
	if from < 0 || to < from || strings.ContainsFunc(middle, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", false
	}
	return raw[:from] + jsonQuoter.Replace(middle) + raw[to:], true
}

// rawIndex is where in a raw JSON string the text begins that has n bytes
// before it; -1 if that is within a character.
func rawIndex(raw string, n int) int {
	i := 1
	for n > 0 && i < len(raw)-1 {
		bytes, used := 1, 1
		if raw[i] == '\\' {
			if used = 2; raw[i+1] == 'u' {
				_, used = unicodeEscape(raw[i:])
			}
			text, _ := jsonString(`"` + raw[i:i+used] + `"`)
			bytes = len(text)
		}
		n -= bytes
		i += used
	}
	if n != 0 {
		return -1
	}
	return i
}
