package settings

import "testing"

func TestSizesAreReadWithAndWithoutUnits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want int64
	}{
		{"0", 0}, {"65536", 65536}, {"512B", 512}, {"64KiB", 64 << 10}, {"64MiB", 64 << 20}, {"1GiB", 1 << 30}, {"2TiB", 2 << 40},
		{"16KB", 16_000}, {"16MB", 16_000_000}, {"1GB", 1_000_000_000}, {"1TB", 1_000_000_000_000}, {"64mib", 64 << 20}, {"64 MiB", 64 << 20},
	} {
		t.Run(test.text, func(t *testing.T) {
			if got, err := (sizeSyntax{}).parse(test.text); err != nil || got != test.want {
				t.Errorf("got %d, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestWhatIsNoSizeIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"MiB", "-1", "+1", "1.5GiB", "1M", "1 MiB ", " 1", "1e3", "0x10", "99999999999999999999", "9000000TiB"} {
		t.Run(text, func(t *testing.T) {
			if got, err := (sizeSyntax{}).parse(text); err == nil {
				t.Errorf("got %d, want an error", got)
			}
		})
	}
}

// FuzzSize checks that what is taken is not negative and reads the same after
// it was shown.
func FuzzSize(f *testing.F) {
	for _, seed := range []string{"0", "1", "64MiB", "16 MB", "9223372036854775807", "8388607TiB", "-1", "KiB", "1.5GiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := sizeSyntax{}.parse(text)
		if err != nil {
			return
		}
		again, err := sizeSyntax{}.parse(sizeSyntax{}.format(size))
		if size < 0 || err != nil || again != size {
			t.Errorf("%q is %d, shown and read again %d, %v", text, size, again, err)
		}
	})
}
