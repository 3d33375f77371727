//! x86-64: AVX2 with FMA, and AVX-512.

use std::arch::x86_64::{__m256, __m512, __m512i};

use pulp::Simd;
use pulp::x86::{V3, V4};

use super::{Vector16, WIDTH};

impl Vector16 for V3 {
    const REGISTER_VECTORS: usize = 2;
    arithmetic!(V3, 2);
    reduced_at_once!();

    #[inline(always)]
    fn reduce(self, vectors: [Self::V; 4]) -> [f32; 4] {
        let avx = self.avx;
        let [a, b, c, d] = vectors.map(|x| {
            let [lower, upper]: [__m256; 2] = pulp::cast(x);
            avx._mm256_add_ps(lower, upper)
        });
        // Halves of 8 numbers. Merges two vectors into one: the lower four numbers hold the sum of the halves of `a`,
        // the upper four that of `b`. The blend takes from each the half that is in its place already, the permutation
        // the other half.
        let halves = |a: __m256, b: __m256| {
            avx._mm256_add_ps(avx._mm256_blend_ps::<0xf0>(a, b), avx._mm256_permute2f128_ps::<0x21>(a, b))
        };
        let ab = halves(a, b);
        let cd = halves(c, d);
        let pairs = avx._mm256_shuffle_ps::<0b01_00_11_10>(ab, cd);
        let pairs = avx._mm256_add_ps(avx._mm256_blend_ps::<0xcc>(ab, cd), pairs);
        let sums = avx._mm256_add_ps(pairs, avx._mm256_movehdup_ps(pairs));
        let order: [u32; 8] = [0, 4, 2, 6, 0, 4, 2, 6];
        let sums: [f32; 8] = pulp::cast(self.avx2._mm256_permutevar8x32_ps(sums, pulp::cast(order)));
        [sums[0], sums[1], sums[2], sums[3]]
    }
}

impl Vector16 for V4 {
    const REGISTER_VECTORS: usize = 4;
    arithmetic!(V4, 1);

    #[inline(always)]
    fn transpose(self, rows: &[[u64; 8]; 8]) -> [[u64; 8]; 8] {
        // Three rounds, with distances of 4, 2 and 1, in which each two rows this distance apart exchange blocks of as
        // many columns: the upper row's right blocks (columns with the bit `distance`) for the lower row's left blocks.
        // Indices of `permutex2var` below 8 take a word of the first operand, others of the second.
        let mut rows: [__m512i; 8] = pulp::cast(*rows);
        for distance in [4, 2, 1] {
            let is_left = |column: u64| column & distance == 0;
            let upper: [u64; 8] =
                std::array::from_fn(|c| if is_left(c as u64) { c as u64 } else { 8 + c as u64 - distance });
            let lower: [u64; 8] =
                std::array::from_fn(|c| if is_left(c as u64) { c as u64 + distance } else { 8 + c as u64 });
            let upper: __m512i = pulp::cast(upper);
            let lower: __m512i = pulp::cast(lower);
            let previous = rows;
            rows = std::array::from_fn(|row| {
                let partner = row ^ distance as usize;
                if row < partner {
                    self.avx512f._mm512_permutex2var_epi64(previous[row], upper, previous[partner])
                } else {
                    self.avx512f._mm512_permutex2var_epi64(previous[partner], lower, previous[row])
                }
            });
        }
        pulp::cast(rows)
    }

    // Each addition merges two vectors of partial sums into one, with half as many partial sums of each: the blend
    // takes from each vector the half that is in its place already, the shuffle the other half, in the place where it
    // is added. `reduce` merges four vectors to one with three additions, `sums` four of these to one with three more,
    // so 16 sums cost 15 additions, not 16 times four.
    type Quad = __m512;

    #[inline(always)]
    fn reduce(self, vectors: [Self::V; 4]) -> __m512 {
        let avx = self.avx512f;
        let [x0, x1, x2, x3]: [__m512; 4] = pulp::cast(vectors);
        let halves = |a: __m512, b: __m512| {
            let other = avx._mm512_shuffle_f32x4::<0b01_00_11_10>(a, b);
            avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xff00, a, b), other)
        };
        let a = halves(x0, x2);
        let b = halves(x1, x3);
        let quarters: [u32; 16] = [4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27];
        let other = avx._mm512_permutex2var_ps(a, pulp::cast(quarters), b);
        avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xf0f0, a, b), other)
    }

    #[inline(always)]
    fn sums(self, quads: [__m512; 4]) -> Self::V {
        let avx = self.avx512f;
        let pairs = |a: __m512, b: __m512| {
            let pairs: [u32; 16] = [2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29];
            let other = avx._mm512_permutex2var_ps(a, pulp::cast(pairs), b);
            avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xcccc, a, b), other)
        };
        let a = pairs(quads[0], quads[2]);
        let b = pairs(quads[1], quads[3]);
        let ones: [u32; 16] = [1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30];
        let other = avx._mm512_permutex2var_ps(a, pulp::cast(ones), b);
        pulp::cast(avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xaaaa, a, b), other))
    }

    #[inline(always)]
    fn four_sums(self, quad: __m512) -> [f32; 4] {
        let avx = self.avx512f;
        let pairs = avx._mm512_add_ps(quad, avx._mm512_permute_ps::<0b01_00_11_10>(quad));
        let sums = avx._mm512_add_ps(pairs, avx._mm512_permute_ps::<0b10_11_00_01>(pairs));
        let order: [u32; 16] = [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12];
        let sums: [f32; WIDTH] = pulp::cast(avx._mm512_permutexvar_ps(pulp::cast(order), sums));
        [sums[0], sums[1], sums[2], sums[3]]
    }
}
