package settings

import "github.com/streamkeeper/streamkeeper/internal/human"

type sizeSyntax struct{ plain[int64] }

func (sizeSyntax) parse(text string) (int64, error) { return human.ParseSize(text) }

func (sizeSyntax) format(value int64) string { return human.FormatSize(value) }
