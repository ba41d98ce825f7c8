import { variant } from "./variant.ts"

export default variant({ envelope: false, isTraced: false })
