//! Where the surviving weights of a layer are: compressed rows, tile by tile.

use std::ops::Range;

/// Features of a tile: those of 64 images take 32 KiB, which stay in the first-level cache while all rows pass.
const TILE: usize = 128;

/// Weights that a row must have in such a tile on average; with fewer, starting a row costs more than the cache gives, and
/// all features are one tile. Measured on the layer 784 → 300: 10 % of the weights are faster in tiles, 4 % in one.
const SEGMENT: usize = 10;

/// Column indices behind the last one, so that four can always be read.
const BEHIND: usize = 3;

/// The places of weights in a matrix of `rows` rows, ordered by tile of columns, then row, then column. The weights in one
/// row of one tile are a segment.
#[derive(Clone, Debug)]
pub(super) struct TiledCsr {
    /// Rows of the matrix.
    pub(super) rows: usize,
    /// The end of each segment: of all rows in the first tile, then of all rows in the second.
    pub(super) ends: Vec<u32>,
    /// The column of each weight, and a few more that mean nothing.
    columns: Vec<u32>,
}

impl Default for TiledCsr {
    /// That of a matrix without rows.
    fn default() -> Self {
        Self { rows: 0, ends: Vec::new(), columns: vec![0; BEHIND] }
    }
}

impl TiledCsr {
    /// The pattern of the pairs (row, column) in `places`, in any order; with it the order that it puts them into: for each
    /// weight of the pattern its index in `places`.
    pub(super) fn new(rows: usize, columns: usize, places: &[(u32, u32)]) -> (Self, Vec<u32>) {
        let tile = if places.len() * TILE >= SEGMENT * rows * columns { TILE } else { columns.max(1) };
        let tiles = columns.div_ceil(tile).max(1);
        let segment = |&(row, column): &(u32, u32)| column as usize / tile * rows + row as usize;
        let mut order: Vec<u32> = (0..places.len() as u32).collect();
        order.sort_by_key(|&k| (segment(&places[k as usize]), places[k as usize].1));
        let mut ends = vec![0; tiles * rows];
        for place in places {
            ends[segment(place)] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let columns = order.iter().map(|&k| places[k as usize].1).chain([0; BEHIND]).collect();
        (Self { rows, ends, columns }, order)
    }

    /// The number of weights.
    pub(super) fn len(&self) -> usize {
        self.columns.len() - BEHIND
    }

    /// Where a segment begins.
    #[inline(always)]
    pub(super) fn start(&self, segment: usize) -> usize {
        if segment == 0 { 0 } else { self.ends[segment - 1] as usize }
    }

    /// The columns of the weights in `range`.
    #[inline(always)]
    pub(super) fn columns(&self, range: Range<usize>) -> &[u32] {
        &self.columns[range]
    }

    /// The columns of four weights from `at` on; those behind the last weight mean nothing.
    #[inline(always)]
    pub(super) fn index_quad(&self, at: usize) -> [u32; 4] {
        self.columns[at..].first_chunk().copied().unwrap_or_default()
    }

    /// `parts` ranges of rows with about as many weights each.
    pub(super) fn split_rows(&self, parts: usize) -> Vec<Range<usize>> {
        let in_row = |row: usize| (row..self.ends.len()).step_by(self.rows).map(|s| self.length(s)).sum::<usize>();
        cut((0..self.rows).map(in_row), parts)
    }

    /// `parts` ranges of segments with about as many weights each.
    pub(super) fn split_segments(&self, parts: usize) -> Vec<Range<usize>> {
        cut((0..self.ends.len()).map(|segment| self.length(segment)), parts)
    }

    fn length(&self, segment: usize) -> usize {
        self.ends[segment] as usize - self.start(segment)
    }
}

/// `parts` ranges of items, each with about the same sum of sizes; an item counts for one more than its size.
fn cut(sizes: impl Iterator<Item = usize> + Clone, parts: usize) -> Vec<Range<usize>> {
    let total: usize = sizes.clone().map(|size| size + 1).sum();
    let (mut ranges, mut start, mut items, mut sum) = (Vec::new(), 0, 0, 0);
    for size in sizes {
        items += 1;
        sum += size + 1;
        while ranges.len() + 1 < parts && sum * parts >= total * (ranges.len() + 1) {
            ranges.push(start..items);
            start = items;
        }
    }
    ranges.resize(parts.saturating_sub(1), start..start);
    ranges.push(start..items);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_by_tile_then_row_by_row() {
        // 2 × 300: dense enough for tiles of 128.
        let places: Vec<(u32, u32)> = (0..2).flat_map(|row| (0..300).map(move |column| (row, column))).collect();
        let (pattern, order) = TiledCsr::new(2, 300, &places);
        assert_eq!(pattern.ends, [128, 256, 384, 512, 556, 600]);
        assert_eq!(order[..2], [0, 1]);
        assert_eq!(order[128..130], [300, 301], "the second row of the first tile");
        assert_eq!((pattern.columns(256..258), pattern.len()), (&[128, 129][..], 600));
        // 6 of 600 weights: one tile.
        let few = [(1, 299), (0, 0), (1, 0)];
        let (pattern, order) = TiledCsr::new(2, 300, &few);
        assert_eq!((&pattern.ends[..], &order[..]), (&[1, 3][..], &[1, 2, 0][..]));
        assert_eq!(pattern.index_quad(2), [299, 0, 0, 0]);
    }

    #[test]
    fn nothing_survives() {
        let (pattern, order) = TiledCsr::new(3, 0, &[]);
        assert_eq!((pattern.len(), order.len(), &pattern.ends[..]), (0, 0, &[0, 0, 0][..]));
        assert_eq!((TiledCsr::default().len(), TiledCsr::default().split_rows(2)), (0, vec![0..0, 0..0]));
    }

    #[test]
    fn parts_cover_everything_once_and_are_even() {
        for parts in 1..6 {
            let ranges = cut([5, 0, 0, 9, 1, 1, 30, 2].into_iter(), parts);
            assert_eq!(ranges.len(), parts);
            assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        }
        assert_eq!(cut(std::iter::repeat_n(3, 10), 2), [0..5, 5..10]);
        assert_eq!(cut(std::iter::empty(), 2), [0..0, 0..0]);
    }
}
