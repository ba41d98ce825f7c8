import { variant } from "./variant.ts"

export default variant({ envelope: true, isTraced: false })
