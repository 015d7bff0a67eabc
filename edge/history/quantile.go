package history

// quantile returns the value that so many of 100 observations do not exceed, as well as their
// histogram tells it: within an interval they are taken to be spread evenly. counts are those
// of each interval, and bounds the upper ends of all but the last, which has none. It is 0 where
// there are no observations.
func quantile(bounds []float64, counts []uint64, percent uint64) float64 {
	var all uint64
	for _, n := range counts {
		all += n
	}
	if all == 0 || len(bounds) == 0 {
		return 0
	}
	rank := float64(all) * float64(percent) / 100
	below, from := 0.0, 0.0
	for i, n := range counts {
		if i >= len(bounds) {
			break
		}
		if n > 0 && below+float64(n) >= rank {
			return from + (bounds[i]-from)*(rank-below)/float64(n)
		}
		below += float64(n)
		from = bounds[i]
	}
	return bounds[len(bounds)-1]
}
