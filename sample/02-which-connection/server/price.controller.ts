import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';

export interface Order {
  readonly sku: string;
  readonly amount: number;
}

export interface Offer {
  readonly sku: string;
  readonly cents: number;
}

/** The job: what does so much of something cost? */
@Controller()
export class PriceController {
  @MessagePattern('price')
  price(@Payload() { sku, amount }: Order): Offer {
    return { sku, cents: amount * (100 + sku.length) };
  }
}
