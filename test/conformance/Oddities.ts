/**
 * What a client should not send, or seldom does, and what it may send but hardly anybody tries.
 */
import { MAX_JOB_SIZE } from "./Sequence.ts"

/** Numbers as they can come; what each command makes of them is the point. */
export const oddNumbers = [
  "",
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x10",
  "abc",
  "00",
  "0007",
  "  3",
  "3 ",
  "3x",
  "4294967294",
  "4294967295",
  "4294967296",
  "9007199254740993",
  "9223372036854775807",
  "9223372036854775808",
  "18446744073709551615",
  "18446744073709551616",
  "99999999999999999999999"
]

export const oddTubes = [
  "",
  "-a",
  "a b",
  " a",
  "a ",
  "a,b",
  "\xe9",
  "a\0b",
  "a".repeat(201),
  "-",
  "a\tb",
  "Ab/c;$_()+.-"
]

export const oddLines = [
  "",
  " ",
  "put",
  "PUT 0 0 10 1",
  " stats",
  "stats ",
  "statsx",
  "reserve-job",
  "reserve ",
  "reserved",
  "reserve-with-timeout",
  "kick",
  "kick-job",
  "pause-tube",
  "pause-tubea 0",
  "peek-",
  "peek-readyx",
  "list-tube",
  "list-tubes-",
  "list-tubes-watched ",
  "delete",
  "release",
  "watch",
  "\0",
  "stats\0",
  "a\nb",
  "\n",
  "\xff\xfe"
]

export const bodies = [
  "",
  "a",
  "hello",
  "\r\n",
  "a\r\nb",
  "\0\xff",
  "quit\r\n",
  "---\n- x\n",
  "b".repeat(MAX_JOB_SIZE),
  "c".repeat(MAX_JOB_SIZE + 1),
  "delete 1\r\nstats\r\n".repeat(8)
]

export const lineLengths = [200, 220, 221, 222, 224, 226, 300, 446, 448, 700]

/** None that could be the id of a job. */
export const oddIds = oddNumbers.filter((number) => !/^ *[+]?0*[1-9]\d{0,9} *$|^3/.test(number))

/** None that ends while a sequence is played: a minute and more, or none at all. */
export const oddTimes = oddNumbers.filter((number) => !/^[ 0]*[1-9]$/.test(number))

export const oddTimeouts = [
  "",
  "-1",
  "-0",
  "abc",
  "0 x",
  "  0",
  "1000x",
  "00",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "18446744073709551615",
  "99999999999999999999999"
]
