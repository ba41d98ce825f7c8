/**
 * Broken links in Markdown.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const LINK = /\]\(([^)\s]+)\)/g
const FENCE = /^```[\s\S]*?^```$/gm

/** The anchors of the headings, in the form of GitHub and npm. */
const anchorsOf = (markdown: string): ReadonlySet<string> =>
  new Set(
    [...markdown.matchAll(/^#+ +(.*)$/gm)].map(([, title]) =>
      title!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-")
    )
  )

const read = (file: string) => readFileSync(file, "utf8").replace(FENCE, "")

/** `file: link` for each relative link in the Markdown below `root` that has no target there. */
export const brokenLinks = (root: string): ReadonlyArray<string> =>
  globSync("**/*.md", { cwd: root, exclude: ["**/node_modules/**"] }).flatMap((name) => {
    const file = join(root, name)
    const isBroken = (link: string): boolean => {
      if (/^[a-z]+:/.test(link)) return false
      const [path, anchor] = link.split("#")
      const target = path === "" ? file : join(dirname(file), path!)
      if (relative(root, target).startsWith("..") || !existsSync(target)) return true
      return anchor !== undefined && !anchorsOf(read(target)).has(anchor)
    }
    return [...read(file).matchAll(LINK)].map(([, link]) => link!).filter(isBroken).map((link) => `${name}: ${link}`)
  })
