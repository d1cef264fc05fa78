// SPDX-License-Identifier: Apache-2.0

// Prints mlkem768.txt from Go's crypto/mlkem, an implementation that shares nothing with ours:
// go run mlkem768.go > mlkem768.txt (Go 1.26, no modules needed).
package main

import (
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Bytes that anybody can make again: SHA-256(label, big-endian number).
func derive(label string, number uint32) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(label), number))
	return sum[:]
}

type vector struct{ seed, message, ek, ct, secret, rejected []byte }

func make1(number uint32) vector {
	v := vector{seed: append(derive("d", number), derive("z", number)...), message: derive("m", number)}
	key, err := mlkem.NewDecapsulationKey768(v.seed)
	if err != nil {
		panic(err)
	}
	v.ek = key.EncapsulationKey().Bytes()
	v.secret, v.ct, err = mlkemtest.Encapsulate768(key.EncapsulationKey(), v.message)
	if err != nil {
		panic(err)
	}
	wrong := append([]byte(nil), v.ct...)
	wrong[int(number)%len(wrong)] ^= 1 // what implicit rejection answers to one changed bit
	v.rejected, err = key.Decapsulate(wrong)
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	const whole, all = 3, 2000
	hash := sha256.New()
	for i := uint32(0); i < all; i++ {
		v := make1(i)
		if i < whole {
			fmt.Printf("number %d\nseed %x\nmessage %x\nek %x\nct %x\nsecret %x\nrejected %x\n",
				i, v.seed, v.message, v.ek, v.ct, v.secret, v.rejected)
		}
		for _, b := range [][]byte{v.ek, v.ct, v.secret, v.rejected} {
			hash.Write(b)
		}
	}
	fmt.Printf("count %d\nsha256 %x\n", all, hash.Sum(nil))
}
