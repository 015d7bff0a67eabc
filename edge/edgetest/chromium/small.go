package chromium

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"
)

// Small is a screenshot with so few colours that it is a small file: those that most of it has.
func Small(t testing.TB, shot []byte) []byte {
	t.Helper()
	const colours = 64
	from, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	bounds := from.Bounds()
	counts := make(map[color.RGBA]int)
	at := func(x, y int) color.RGBA {
		r, g, b, _ := from.At(x, y).RGBA()
		const coarse = 0xf8
		return color.RGBA{uint8(r>>8) | ^uint8(coarse), uint8(g>>8) | ^uint8(coarse), uint8(b>>8) | ^uint8(coarse), 0xff}
	}
	exact := make(map[color.RGBA]color.RGBA) // the first colour of each coarse one
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			if counts[c]++; counts[c] == 1 {
				r, g, b, _ := from.At(x, y).RGBA()
				exact[c] = color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
			}
		}
	}
	var all []color.RGBA
	for c := range counts {
		all = append(all, c)
	}
	// A thin line of a colour of its own counts more than one more grey of a letter's edge.
	weight := func(c color.RGBA) int {
		return counts[c] * (1 + int(max(c.R, c.G, c.B)-min(c.R, c.G, c.B))/8)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range all[:min(colours, len(all))] {
		palette = append(palette, exact[c])
	}
	index := make(map[color.RGBA]uint8)
	for _, c := range all {
		index[c] = uint8(palette.Index(exact[c]))
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
